"""Promise 5: what was written is synced before the answer. Only the system calls show it, not a kill."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from msgspec import Struct

from faults.disk import Disk, Files
from support.broken_copies import broken_copy
from support.oauth import Person, csrf_token, returned
from support.restartable_server import RestartableServer
from support.server import PASSWORD
from support.stores import once

pytestmark = once("is about the disk under the SQLite file")

WAL = "-wal"
STEPS = [
    "register",
    "sign in",
    "consent",
    "redeem",
    "refresh",
    "replay a code",
    "revoke an access token",
    "revoke",
    "sign out",
    "sign up",
    "sign in to the account",
    "disconnect an app",
    "change the password",
    "sign out everywhere",
]
PREPARED = "what only leads to a step"


class Step(Struct):
    """What one step did: answers, writes of the log, and answers that were sent before a sync."""

    answers: int = 0
    written: int = 0
    too_early: int = 0


async def traced(directory: Path, shim: Path, environment: Mapping[str, str]) -> dict[str, Step]:
    """Take every step that writes, one at a time, and read in the journal what came before each answer."""
    server = RestartableServer(directory / "server", environment=environment, sign_up="true")
    server.database.parent.mkdir()
    disk = Disk(shim, server.database, directory)
    server.environment = {**environment, **disk.environment}
    await server.open_account()
    disk.remember()
    server.start()
    try:
        ends = [(step, len([*disk.operations()])) async for step in _steps(Person.at(server.origin))]
    finally:
        server.stop()
    found: defaultdict[str, Step] = defaultdict(Step)
    files = Files()
    for number, operation in enumerate(disk.operations()):
        files.apply(operation)
        step = next((found[step] for step, end in ends if number < end), Step())
        if operation.kind == "w" and operation.path.endswith(WAL):
            step.written += 1
        elif operation.kind == "a":
            step.answers += 1
            step.too_early += not files.is_synced(WAL)
    return found


async def _steps(person: Person) -> AsyncIterator[str]:
    async with person.http:
        client = (await person.register())["client_id"]
        yield "register"
        page = await person.sign_in(await person.asked(client))
        yield "sign in"
        code = returned(await person.submit(page, "consent", decision="allow"))["code"]
        yield "consent"
        tokens = (await person.redeem(client, code)).json()
        yield "redeem"
        tokens = (await person.refresh(client, tokens["refresh_token"])).json()
        yield "refresh"
        assert (await person.redeem(client, code)).status_code == 400
        yield "replay a code"
        tokens = await person.tokens(client)
        yield PREPARED
        await person.revoke(client, tokens["access_token"])
        yield "revoke an access token"
        await person.revoke(client, tokens["refresh_token"])
        yield "revoke"
        page = await person.asked(client, prompt="consent")
        yield PREPARED
        await person.submit(page, "sign-out")
        yield "sign out"
        async for step in _steps_of_the_account(person, client):
            yield step


async def _steps_of_the_account(person: Person, client: str) -> AsyncIterator[str]:
    email, changed = "grace@example.com", "another password of length"

    async def send(form: str, *, shown: str = "", **filled: str) -> None:
        page = await person.http.get(f"/authorize/account{shown}")
        fields = {"csrf_token": csrf_token(page), **filled}
        answer = await person.http.post(f"/authorize/account/{form}", data=fields)
        assert answer.status_code < 400, answer.text

    await person.http.get("/authorize/account")
    await send("sign-up", shown="/sign-up", email=email, password=PASSWORD, password_again=PASSWORD)
    yield "sign up"
    await send("sign-in", email=email, password=PASSWORD)
    yield "sign in to the account"
    await person.tokens(client)
    yield PREPARED
    await send("disconnect", client_id=client)
    yield "disconnect an app"
    new = {"new_password": changed, "new_password_again": changed}
    await send("password", shown="/password", old_password=PASSWORD, **new)
    yield "change the password"
    await send("sign-out-everywhere")
    yield "sign out everywhere"


@pytest.fixture(scope="module")
async def trace(tmp_path_factory: pytest.TempPathFactory, shim: Path) -> dict[str, Step]:
    return await traced(tmp_path_factory.mktemp("synced"), shim, {})


@pytest.mark.parametrize("step", STEPS)
async def test_the_write_ahead_log_is_synced_before_the_answer_is_sent(
    trace: dict[str, Step], step: str
) -> None:
    assert trace[step].written
    assert trace[step].answers
    assert trace[step].too_early == 0


async def test_with_synchronous_normal_every_step_fails_the_check(tmp_path: Path, shim: Path) -> None:
    fault = broken_copy(tmp_path, "adapters/ledger/sqlite.py", "synchronous=FULL", "synchronous=NORMAL")
    trace = await traced(tmp_path, shim, fault)
    assert [step for step in STEPS if trace[step].too_early] == STEPS
