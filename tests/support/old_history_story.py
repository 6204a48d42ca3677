"""What happened before a ledger was kept, chapter by chapter, and the questions that it gives rise to."""

from pathlib import Path
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import StoredEvent

from grantledger.application.provenance import Caller
from grantledger.domain.token_grant import GrantRevoked
from support.oauth import Person, returned
from support.old_history import MAIL, NOTES, Question, SignIn, World, world
from support.server import EMAIL, PASSWORD

START = 1_795_000_000
"""18 November 2026."""

DAY = 86_400
CALLER = Caller(correlation_id="old history", trace_id="trace", address="203.0.113.7")
BOTH = "openid notes:read notes:write"


class Writing:
    """The story as it goes, with the questions that it gives rise to."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.sign_ins: list[SignIn] = []
        self.host_users: dict[str, str] = {}

    def asks(self, name: str, *, after: int, status: int, path: str = "/session", **rest: Any) -> None:
        self.questions.append(Question(name=name, at=START + after, path=path, status=status, **rest))

    def token(self, name: str, tokens: dict[str, Any], *, after: int, status: int) -> None:
        self.asks(name, after=after, status=status, bearer=tokens["access_token"])

    def refresh(self, name: str, client: str, tokens: dict[str, Any], **rest: Any) -> None:
        form = {"grant_type": "refresh_token", "client_id": client, "refresh_token": tokens["refresh_token"]}
        self.asks(name, path="/token", form=form | rest.pop("also", {}), **rest)


async def refreshed(
    now: World, client: str, tokens: dict[str, Any], *, after: int, **form: str
) -> dict[str, Any]:
    now.clock.advance(START + after - now.clock.now())
    answer = await now.person.refresh(client, tokens["refresh_token"], **form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def client_of(person: Person, name: str, **metadata: Any) -> str:
    return str((await person.register(client_name=name, **metadata))["client_id"])


async def live_grants(now: World, writing: Writing) -> None:
    person, editor = now.person, await client_of(now.person, "Editor")
    untouched = await person.tokens(editor)  # scope left out: the first consent is the narrower one
    writing.token("the first access token", untouched, after=3_599, status=200)
    writing.token("the first access token at its end", untouched, after=3_600, status=401)
    writing.refresh("a first refresh", editor, untouched, after=3_600, status=200)
    writing.refresh("a refresh after seven days", editor, untouched, after=7 * DAY, status=400)

    zero = await person.tokens(editor, scope=BOTH, resource=NOTES)
    one = await refreshed(now, editor, zero, after=100)
    two = await refreshed(now, editor, one, after=200, scope="notes:read")
    for name, tokens in (("oldest", zero), ("middle", one), ("narrowed", two)):
        writing.token(f"the {name} access token of a refreshed grant", tokens, after=300, status=200)
    writing.refresh("a retry within the window", editor, one, after=259, status=400)
    narrow = {"scope": "notes:read"}
    writing.refresh("a retry that asks the same", editor, one, after=259, status=200, also=narrow)
    writing.refresh("a reuse after the window", editor, one, after=260, status=400, also=narrow)
    writing.refresh("a refresh back to all scopes", editor, two, after=5_000, status=200)

    mail = await person.tokens(editor, scope="openid mail:read", resource=MAIL)
    writing.token("a token for another resource", mail, after=300, status=200)
    asked_for = f"/session?resource={NOTES}"
    writing.asks(
        "a token at the wrong resource", after=300, status=401, path=asked_for, bearer=mail["access_token"]
    )


async def codes(now: World, writing: Writing) -> None:
    person, viewer = now.person, await client_of(now.person, "Viewer")
    code = await person.code(viewer, scope=BOTH)
    replayed = dict((await person.redeem(viewer, code)).json())
    assert (await person.redeem(viewer, code)).status_code == 400
    writing.token("an access token whose code was replayed", replayed, after=250, status=401)
    writing.refresh("a refresh token whose code was replayed", viewer, replayed, after=250, status=400)

    unspent = await person.code(viewer, scope="openid", state="another")
    redeeming = {
        "grant_type": "authorization_code",
        "client_id": viewer,
        "code": unspent,
        "code_verifier": "verifier-verifier-verifier-verifier-verifier",
        "redirect_uri": "https://client.example/callback",
    }
    for name, after, status in (("in time", 799, 200), ("too late", 800, 400)):
        # The tokens are new and random: nothing of the answer can be kept but that there is one.
        writing.asks(f"a code {name}", after=after, status=status, path="/token", form=redeeming)
    spent = redeeming | {"code": code}
    writing.asks("a spent code", after=300, status=400, path="/token", form=spent)


async def revocations(now: World, writing: Writing) -> None:
    person, client = now.person, await client_of(now.person, "Reviser")
    reused = await person.tokens(client, scope=BOTH)
    newest = await refreshed(now, client, reused, after=300)
    now.clock.advance(61)
    assert (await person.refresh(client, reused["refresh_token"])).status_code == 400
    writing.token("the newest token of a grant that was reused", newest, after=400, status=401)
    writing.refresh("a refresh of a grant that was reused", client, newest, after=400, status=400)

    zero = await person.tokens(client, scope=BOTH)
    one = await refreshed(now, client, zero, after=400)
    two = await refreshed(now, client, one, after=401)
    await person.revoke(client, one["access_token"])
    for name, tokens, status in (("older", zero, 401), ("revoked", one, 401), ("newer", two, 200)):
        writing.token(f"the {name} access token beside a revoked one", tokens, after=410, status=status)

    revoked = await person.tokens(client, scope=BOTH)
    await person.revoke(client, revoked["refresh_token"])
    writing.token("an access token of a revoked grant", revoked, after=410, status=401)
    writing.refresh("a refresh token of a revoked grant", client, revoked, after=410, status=400)

    by_tool = await person.tokens(client, scope=BOTH)
    session = await now.container.use_cases().look_up_session(by_tool["access_token"])
    stored = now.container.ledger()._mapper.stored(  # noqa: SLF001 - what the library's tools do
        f"grant:{session.grant_id}", 2, GrantRevoked(reason="by a tool", revoked_at=now.clock.now())
    )
    now.container.ledger().recorder.insert_events([stored])
    writing.token("a token of a grant that a tool revoked", by_tool, after=410, status=401)


async def clients(now: World, writing: Writing) -> None:
    person = now.person
    disabled = await client_of(person, "Disabled")
    of_disabled = await person.tokens(disabled, scope=BOTH)
    await now.container.use_cases().disable_client(disabled, CALLER)
    writing.token("a token of a disabled client", of_disabled, after=500, status=401)
    writing.refresh("a refresh of a disabled client", disabled, of_disabled, after=500, status=400)

    reborn = await client_of(person, "Reborn")
    before = await person.tokens(reborn, scope=BOTH)
    await now.container.use_cases().delete_client(reborn, CALLER)
    assert await client_of(person, "Reborn") == reborn
    after = await person.tokens(reborn, scope=BOTH)
    writing.token("a token from before the client was deleted", before, after=500, status=401)
    writing.refresh("a refresh from before the client was deleted", reborn, before, after=500, status=400)
    writing.token("a token of the client that came again", after, after=500, status=200)

    deleted = await client_of(person, "Deleted")
    of_deleted = await person.tokens(deleted, scope=BOTH)
    await now.container.use_cases().delete_client(deleted, CALLER)
    writing.token("a token of a deleted client", of_deleted, after=500, status=401)
    writing.refresh("a refresh of a deleted client", deleted, of_deleted, after=500, status=401)

    method = "client_secret_post"
    robot = await person.register(client_name="Robot", token_endpoint_auth_method=method)
    secret = {"client_secret": str(robot["client_secret"])}
    code = await person.code(robot["client_id"], scope=BOTH)
    tokens = dict((await person.redeem(robot["client_id"], code, **secret)).json())
    writing.refresh(
        "a refresh with the client's secret", robot["client_id"], tokens, after=500, status=200, also=secret
    )
    writing.refresh(
        "a refresh without the client's secret", robot["client_id"], tokens, after=500, status=401
    )


async def people(now: World, writing: Writing) -> None:
    users = {}
    client = await client_of(now.person, "Calendar")
    for name, status in (("bob", 200), ("eve", 401)):
        email = f"{name}@example.com"
        users[name] = await now.container.use_cases().open_account(email, PASSWORD, CALLER)
        now.person.http.cookies.clear()
        page = await now.person.sign_in(await now.person.asked(client, scope=BOTH), email=email)
        code = returned(await now.person.submit(page, "consent", decision="allow"))["code"]
        tokens = dict((await now.person.redeem(client, code)).json())
        writing.token(f"a token of {name}", tokens, after=600, status=status)
    signed_in = await now.container.use_cases().sign_in("bob@example.com", PASSWORD, CALLER)
    await now.container.use_cases().sign_out(signed_in.session, CALLER)
    await now.container.use_cases().disable_user(users["eve"], CALLER)
    for email, password, user_id in (
        ("Bob@example.com", PASSWORD, users["bob"]),
        ("bob@example.com", "wrong password", None),
        ("eve@example.com", PASSWORD, None),
    ):
        writing.sign_ins.append(SignIn(email=email, password=password, user_id=user_id))


async def elsewhere(directory: Path, writing: Writing) -> None:
    """Another realm, whose grants have an absolute limit."""
    settings = {"realm": "elsewhere", "grant_expires_in": "4000"}
    async with world(directory, at=START, **settings) as now:
        await now.container.use_cases().open_account(EMAIL, PASSWORD, CALLER)
        client = await client_of(now.person, "Editor")
        tokens = await refreshed(now, client, await now.person.tokens(client), after=3_000)
        now.container.ledger().recorder.insert_events([StoredEvent(uuid4(), 1, "foreign", b"{}")])
    for after, status in ((3_999, 200), (4_000, 401)):
        name = f"a token of another realm at {after}"
        bearer = tokens["access_token"]
        writing.asks(name, after=after, status=status, bearer=bearer, settings=settings)
    writing.token("a token in the wrong realm", tokens, after=3_100, status=401)
