"""Promise 11: an append fails if another process has changed a stream that was read for its decision."""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container
from races.cluster import Cluster
from support.concurrently import hold_back
from support.oauth import SESSION_COOKIE, Person, error_of, redemption, returned
from support.overtaken import overtaken
from support.server import PASSWORD

CALLER = Caller(correlation_id="operator")
AT_ONCE = 8
MOMENT = 0.02
"""The maximum delay in seconds before the overtaking change: most requests take longer."""


class Town:
    """One client, and one user with a browser at each server. The operator is a separate process."""

    def __init__(self, cluster: Cluster, operator: Container) -> None:
        self.cluster = cluster
        self.do = operator.use_cases()
        self.people = [Person.at(server.origin) for server in cluster.servers]

    async def prepare(self) -> None:
        email = f"{secrets.token_hex(8)}@example.com"
        self.user = await self.do.open_account(email, PASSWORD, CALLER)
        self.client = await self.cluster.client()
        for person in self.people:
            await person.sign_in(await person.asked(self.client), email=email)

    async def leave(self) -> None:
        for person in self.people:
            await person.http.aclose()

    async def sign_out(self) -> None:
        for person in self.people:
            found = await self.do.find_browser_session(person.cookies()[SESSION_COOKIE])
            assert found is not None
            await self.do.sign_out(found.session, CALLER)

    async def overtake(self, what: str) -> None:
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "the consent is withdrawn": lambda: self.do.disconnect_app(self.user, self.client, CALLER),
            "the user is disabled": lambda: self.do.disable_user(self.user, CALLER),
            "the client is disabled": lambda: self.do.disable_client(self.client, CALLER),
            "the password is changed": lambda: self.do.set_password(self.user, "another password", CALLER),
            "all sessions are ended": lambda: self.do.sign_out_everywhere(self.user, CALLER),
            "the session is signed out": self.sign_out,
            "all sessions are ended and all apps disconnected": self._end_everything,
        }
        await asyncio.sleep(random.uniform(0, MOMENT))
        await ways[what]()

    async def redeemed(self, what: str) -> list[str]:
        """Redeem codes in parallel while something overtakes them, and return the outcomes."""
        codes = [await self.people[0].code(self.client) for _ in range(AT_ONCE)]
        turns = self.cluster.requests(AT_ONCE, "/token", {})
        ready = await asyncio.gather(
            *(
                hold_back(type(turn)(turn.origin, turn.path, redemption(self.client, code)))
                for turn, code in zip(turns, codes, strict=True)
            )
        )
        for one in ready:
            one.release()
        overtaking = asyncio.create_task(self.overtake(what))
        answers = await asyncio.gather(*(one.answer() for one in ready))
        await overtaking
        return [_of_redemption(answer) for answer in answers]

    async def allowed(self, what: str) -> list[str]:
        """Press Allow in several tabs while something overtakes it, and return the outcomes."""
        tabs = [
            (person, await person.asked(self.client, prompt="consent"))
            for person in (self.people * AT_ONCE)[:AT_ONCE]
        ]
        pressing = [person.submit(page, "consent", decision="allow") for person, page in tabs]
        answers, _ = await asyncio.gather(asyncio.gather(*pressing), self.overtake(what))
        return [_of_consent(answer) for answer in answers]

    async def connected(self) -> list[str]:
        """Press Allow and redeem at each server while all is ended, and return what happened to each tab."""
        tabs = [
            (person, await person.asked(self.client, prompt="consent"))
            for person in (self.people * AT_ONCE)[:AT_ONCE]
        ]
        connecting = [self._connect(person, page) for person, page in tabs]
        connections, _ = await asyncio.gather(
            asyncio.gather(*connecting), self.overtake("all sessions are ended and all apps disconnected")
        )
        return [await self._outcome(connection) for connection in connections]

    async def _connect(self, person: Person, page: httpx2.Response) -> httpx2.Response | None:
        """Return the response to the redemption, None without a code."""
        answer = await person.submit(page, "consent", decision="allow")
        if _of_consent(answer) == "refused":
            return None
        return await person.redeem(self.client, returned(answer)["code"])

    async def _outcome(self, redeemed: httpx2.Response | None) -> str:
        if redeemed is None:
            return "refused"
        if _of_redemption(redeemed) == "refused":
            return "done"  # the code was issued before the change, and opens nothing
        tokens = redeemed.json()
        assert await self.cluster.sessions(tokens["access_token"]) == {401}
        assert await self.cluster.refreshes(self.client, tokens["refresh_token"]) == {400}
        return "done"

    async def _end_everything(self) -> None:
        """Do what the account page does for "sign out everywhere" with "disconnect all apps"."""
        await self.do.sign_out_everywhere(self.user, CALLER)
        await self.do.disconnect_every_app(self.user, CALLER)


def _of_redemption(answer: httpx2.Response) -> str:
    if answer.status_code == 200:
        return "done"
    assert error_of(answer) == (400, "invalid_grant")
    return "refused"


def _of_consent(answer: httpx2.Response) -> str:
    if "location" in answer.headers:
        assert returned(answer)["code"]
        return "done"
    # If the session ended before the form was read, the form is of another session: 403.
    assert "/sign-in" in answer.text or answer.status_code == 403, answer.text
    return "refused"


async def raced(
    cluster: Cluster, operator: Container, rounds: int, race: Callable[[Town], Awaitable[list[str]]]
) -> Counter[str]:
    """Run the race until at least one request succeeded and one was refused, and at least `rounds` times."""
    outcomes: Counter[str] = Counter()
    run = 0
    while run < rounds or (len(outcomes) < 2 and run < 20 * rounds):
        town = Town(cluster, operator)
        await town.prepare()
        outcomes.update(await race(town))
        await town.leave()
        run += 1
    return outcomes


@pytest.mark.parametrize(
    "what", ["the consent is withdrawn", "the user is disabled", "the client is disabled"]
)
async def test_a_redemption_that_is_overtaken_opens_no_grant(
    cluster: Cluster, operator: Container, rounds: int, what: str
) -> None:
    outcomes = await raced(cluster, operator, rounds, lambda town: town.redeemed(what))
    assert outcomes.keys() == {"done", "refused"}
    assert overtaken(cluster.servers[0].ledger) == []


@pytest.mark.parametrize(
    "what", ["the password is changed", "all sessions are ended", "the session is signed out"]
)
async def test_consent_that_is_overtaken_gives_no_code(
    cluster: Cluster, operator: Container, rounds: int, what: str
) -> None:
    outcomes = await raced(cluster, operator, rounds, lambda town: town.allowed(what))
    assert outcomes.keys() == {"done", "refused"}
    assert overtaken(cluster.servers[0].ledger) == []


async def test_no_app_stays_connected_when_everything_is_ended_in_parallel(
    cluster: Cluster, operator: Container, rounds: int
) -> None:
    outcomes = await raced(cluster, operator, rounds, lambda town: town.connected())
    assert outcomes.keys() == {"done", "refused"}
    assert overtaken(cluster.servers[0].ledger) == []
