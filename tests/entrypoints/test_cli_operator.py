"""What an operator does while the server runs: each command is a process of its own, on the same file."""

import json
import os
import pwd
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import pytest

from grantledger.application.provenance import Caller
from support.oauth import REDIRECT_URI, Person, basic, redemption
from support.server import EMAIL, PASSWORD, Server, cli, serving
from support.timeouts import TIMEOUT
from support.visitors import NEW_PASSWORD

HOST_NAME = "Grace@host\x1b[31m"
"""The id of a user at a host application. It looks like an e-mail address, and has a control sequence."""

ROLES = '{"editor": {"permissions": ["pages:write"], "scopes": ["notes:write"]}}'

LOOPBACK = "http://127.0.0.1:33418/callback"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("operator"), roles=ROLES) as running:
        yield running


@pytest.fixture
async def person(server: Server) -> AsyncIterator[Person]:
    someone = Person.at(server.origin)
    yield someone
    await someone.http.aclose()


def run(server: Server, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = cli(*arguments, cwd=server.database.parent, stdin=stdin, **server.settings)
    return done.returncode, done.stdout, done.stderr


def output(server: Server, *arguments: str, stdin: str = "") -> str:
    """Run a command that has to succeed, and return what it says."""
    code, said, complaint = run(server, *arguments, stdin=stdin)
    assert code == 0, complaint
    return said


def records(server: Server, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output(server, *arguments, "--json").splitlines()]


def record(server: Server, *arguments: str) -> dict[str, Any]:
    (found,) = records(server, *arguments)
    return found


async def test_a_disabled_client_is_refused_on_the_next_request_and_goes_on_when_enabled(
    server: Server, person: Person
):
    """Fails if an access token is accepted although its client is disabled."""
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    assert record(server, "client", "disable", client)["status"] == "disabled"
    assert (await person.session(tokens["access_token"])).status_code == 401
    assert (await person.refresh(client, tokens["refresh_token"])).status_code == 400
    assert record(server, "client", "enable", client)["status"] == "active"
    assert (await person.session(tokens["access_token"])).status_code == 200
    assert (await person.refresh(client, tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("way", ["basic", "post"])
async def test_a_client_that_was_added_gets_tokens_with_its_secret(server: Server, person: Person, way: str):
    words = ("--name", "Claude", "--redirect-uri", REDIRECT_URI, "--auth-method", f"client_secret_{way}")
    added = record(server, "client", "add", *words, "--access-token-expires-in", "300")
    client, secret = added["client_id"], added["client_secret"]
    form = redemption(client, await person.code(client))
    headers = basic(client, secret) if way == "basic" else {}
    if way == "post":
        form["client_secret"] = secret
    answer = await person.http.post("/token", data=form, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["expires_in"] == 300
    assert secret.encode() not in server.written()


async def test_a_client_whose_secret_is_rotated_gets_tokens_with_both_for_an_hour(
    server: Server, person: Person
):
    added = record(server, "client", "add", "--name", "Claude", "--redirect-uri", REDIRECT_URI)
    client, old = added["client_id"], added["client_secret"]
    new = record(server, "client", "rotate-secret", client)["client_secret"]
    for secret in (old, new):
        form = redemption(client, await person.code(client))
        answer = await person.http.post("/token", data=form, headers=basic(client, secret))
        assert answer.status_code == 200, answer.text
    last = record(server, "client", "rotate-secret", client, "--compromised")["client_secret"]
    form = redemption(client, await person.code(client))
    assert (await person.http.post("/token", data=form, headers=basic(client, new))).status_code == 401
    assert (await person.http.post("/token", data=form, headers=basic(client, last))).status_code == 200
    assert not [secret for secret in (new, last) if secret.encode() in server.written()]


async def test_the_secret_of_a_public_client_cannot_be_rotated(server: Server, person: Person):
    code, said, complaint = run(server, "client", "rotate-secret", (await person.register())["client_id"])
    assert (code, said) == (1, "")
    assert "is public: it has no secret" in complaint


async def test_clients_are_listed_with_the_names_that_they_gave_themselves(server: Server, person: Person):
    client = await person.register(client_name="Listed [bold]client[/bold]")
    (found,) = [one for one in records(server, "client", "list") if one["client_id"] == client["client_id"]]
    assert (found["client_name"], found["status"], found["public"]) == (
        "Listed [bold]client[/bold]",
        "active",
        True,
    )
    table = output(server, "client", "list")
    (row,) = [line for line in table.splitlines() if client["client_id"] in line]
    assert "Listed [bold]client[/bold]" in row


async def test_a_list_ends_at_its_limit_and_says_how_it_goes_on(server: Server, person: Person):
    for _ in range(3):
        await person.register()
    everything = records(server, "client", "list", "--all")
    code, said, hint = run(server, "client", "list", "--limit", "2", "--json")
    assert code == 0
    first = [json.loads(line) for line in said.splitlines()]
    assert f"--after {first[-1]['client_id']}" in hint
    rest = records(server, "client", "list", "--all", "--after", first[-1]["client_id"])
    assert first + rest == everything


@pytest.mark.parametrize(
    "arguments",
    [
        ("client", "disable", "glc_nobody"),
        ("grant", "show", "-hobody-nobody-nobodyx"),
        ("grant", "revoke", "nobody", "-hobody-nobody-nobodyx"),
        ("grant", "list", "--user", "nobody@example.com"),
        ("grant", "list", "--client", "glc_nobody"),
        ("grant", "revoke", "--user", "glu_nobody", "--yes"),
        ("grant", "revoke", "--client", "glc_nobody", "--yes"),
        ("user", "disable", "glu_nobody"),
    ],
)
def test_an_unknown_id_is_reported_in_one_sentence_with_exit_code_1(
    server: Server, arguments: tuple[str, ...]
):
    before = server.events()
    code, said, complaint = run(server, *arguments)
    assert (code, said) == (1, "")
    assert complaint.startswith("grantledger: there is no ")
    assert len(complaint.splitlines()) == 1
    assert server.events() == before


async def test_show_says_where_a_remembered_consent_counts(server: Server, person: Person):
    web, native = await person.register(), await person.register(redirect_uris=[LOOPBACK])
    secret = await person.register(redirect_uris=[LOOPBACK], token_endpoint_auth_method="client_secret_basic")
    assert "consent is remembered" in output(server, "client", "show", web["client_id"])
    for client, remembered in ((native["client_id"], False), (secret["client_id"], True)):
        assert "consent is asked for each time" in output(server, "client", "show", client)
        approved = record(server, "client", "approve", client)
        assert (approved["approved"], approved["remembered_consent"]) == (True, {LOOPBACK: remembered})
    withdrawn = record(server, "client", "approve", "--withdraw", secret["client_id"])
    assert (withdrawn["approved"], withdrawn["remembered_consent"]) == (False, {LOOPBACK: False})


async def test_with_an_approval_users_of_a_client_with_a_secret_are_asked_once(
    server: Server, person: Person
):
    client = await person.register(redirect_uris=[LOOPBACK], token_endpoint_auth_method="client_secret_basic")
    asked = {"redirect_uri": LOOPBACK}
    await person.code(client["client_id"], **asked)
    for approved in (False, True):
        # On a loopback issuer each request asks for the password.
        answer = await person.sign_in(await person.asked(client["client_id"], **asked))
        assert ("location" in answer.headers) is approved
        output(server, "client", "approve", client["client_id"])


async def test_a_revoked_grant_is_refused_on_the_next_request(server: Server, person: Person):
    """Fails if the tokens of a revoked grant are accepted."""
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    grant = record(server, "grant", "list", "--client", client)
    assert (grant["status"], grant["user_id"][:4]) == ("live", "glu_")
    assert output(server, "grant", "revoke", grant["grant_id"]) == "1 revoked\n"
    assert (await person.session(tokens["access_token"])).status_code == 401
    assert record(server, "grant", "show", grant["grant_id"])["status"] == "revoked (by operator)"
    assert records(server, "grant", "list", "--client", client, "--live") == []


async def test_if_one_of_the_named_grants_does_not_exist_none_is_revoked(server: Server, person: Person):
    """Fails if a grant is revoked before the next one is looked up."""
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    grant = record(server, "grant", "list", "--client", client)["grant_id"]
    code, _, complaint = run(server, "grant", "revoke", grant, "a-grant-of-nobody")
    assert (code, complaint) == (1, "grantledger: there is no grant 'a-grant-of-nobody'\n")
    assert (await person.session(tokens["access_token"])).status_code == 200


async def test_all_live_grants_of_a_client_and_user_are_revoked_at_once(server: Server, person: Person):
    client, other = [(await person.register())["client_id"] for _ in range(2)]
    tokens = [await person.tokens(client) for _ in range(3)]
    kept = await person.tokens(other)
    arguments = ("grant", "revoke", "--client", client, "--user", EMAIL)
    code, _, question = run(server, *arguments, stdin="n\n")
    assert code == 1
    assert "Live grants that will be revoked: 3." in question
    assert (await person.session(tokens[0]["access_token"])).status_code == 200
    assert output(server, *arguments, "--yes") == "3 revoked\n"
    assert [(await person.session(one["access_token"])).status_code for one in tokens] == [401] * 3
    assert (await person.session(kept["access_token"])).status_code == 200


@pytest.mark.parametrize("arguments", [(), ("a-grant", "--client", "glc_x")])
def test_revoke_takes_either_grant_ids_or_a_client_or_user(server: Server, arguments: tuple[str, ...]):
    assert run(server, "grant", "revoke", *arguments)[0] == 2


async def test_a_grant_is_shown_with_the_names_that_people_know(server: Server, person: Person):
    client = await person.register(client_name="Known by name")
    await person.tokens(client["client_id"])
    table = output(server, "grant", "list", "--client", client["client_id"])
    assert "Known by name" in table
    assert EMAIL in table
    grant = record(server, "grant", "list", "--client", client["client_id"])
    facts = output(server, "grant", "show", grant["grant_id"])
    assert all(
        fact in facts for fact in ("Known by name", EMAIL, grant["user_id"], grant["resource"], "live")
    )


async def test_users_are_listed_with_their_addresses_and_found_by_them(server: Server):
    (ada,) = [one for one in records(server, "user", "list") if one["email"] == EMAIL]
    assert ada["status"] == "active"
    assert EMAIL in output(server, "user", "list")
    assert records(server, "grant", "list", "--user", EMAIL) == records(
        server, "grant", "list", "--user", ada["user_id"]
    )


async def test_roles_are_granted_shown_and_revoked(server: Server):
    output(server, "user", "add", "rosa@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    granted = output(server, "user", "grant-role", "rosa@example.com", "editor")
    assert granted.endswith(" (rosa@example.com): editor\n")
    shown = record(server, "user", "show", "rosa@example.com")
    assert shown["email"] == "rosa@example.com"
    what = {key: shown[key] for key in ("status", "roles", "permissions", "role_scopes", "unknown_roles")}
    assert what == {
        "status": "active",
        "roles": ["editor"],
        "permissions": ["pages:write"],
        "role_scopes": ["notes:write"],
        "unknown_roles": [],
    }
    facts = output(server, "user", "show", "rosa@example.com")
    for line in (("e-mail", "rosa@example.com"), ("roles", "editor"), ("permissions", "pages:write")):
        assert list(line) in [found.split() for found in facts.splitlines()]
    (row,) = [line for line in output(server, "user", "list").splitlines() if "rosa@example.com" in line]
    assert row.split()[-1] == "editor"
    revoked = output(server, "user", "revoke-role", "rosa@example.com", "editor")
    assert revoked.endswith(" (rosa@example.com): none\n")
    assert record(server, "user", "show", "rosa@example.com")["roles"] == []


def test_a_role_that_left_the_settings_is_shown_as_unknown(server: Server):
    output(server, "user", "add", "rex@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    output(server, "user", "grant-role", "rex@example.com", "editor")
    other = server.settings | {"roles": '{"admin": {}}'}
    shown = cli("user", "show", "rex@example.com", "--json", cwd=server.database.parent, **other)
    found = json.loads(shown.stdout)
    assert (found["roles"], found["unknown_roles"], found["permissions"]) == (["editor"], ["editor"], [])


async def test_a_disabled_user_is_refused_on_the_next_request(server: Server, person: Person):
    """Fails if an access token is accepted although its user is disabled."""
    output(server, "user", "add", "eve@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client, email="eve@example.com")
    assert record(server, "user", "disable", "EVE@example.com")["status"] == "disabled"
    assert (await person.session(tokens["access_token"])).status_code == 401
    assert "/sign-in" in (await person.asked(client)).text
    assert record(server, "user", "enable", "eve@example.com")["status"] == "active"
    assert (await person.session(tokens["access_token"])).status_code == 200


async def test_an_erased_password_signs_no_one_in_until_another_is_set(server: Server, person: Person):
    """Fails if an erased password is kept."""
    output(server, "user", "add", "mallory@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    client = (await person.register())["client_id"]
    output(server, "user", "erase-password", "mallory@example.com")
    page = await person.asked(client)
    page = await person.sign_in(page, email="mallory@example.com", password=PASSWORD)
    assert "/sign-in" in page.text
    output(
        server, "user", "set-password", "mallory@example.com", "--password-stdin", stdin=f"{NEW_PASSWORD}\n"
    )
    page = await person.sign_in(page, email="mallory@example.com", password=NEW_PASSWORD)
    assert "/consent" in page.text


@pytest.fixture
async def host_user(server: Server) -> str:
    """The id of an account whose user signed in at the host application."""
    async with server.use_cases() as container:
        return (await container.use_cases().admit_host_user(HOST_NAME, Caller(correlation_id="host"))).user_id


async def test_users_of_a_host_application_are_listed_with_the_hosts_id(server: Server, host_user: str):
    (found,) = [one for one in records(server, "user", "list") if one["user_id"] == host_user]
    assert (found["email"], found["host_user_id"]) == (None, HOST_NAME)
    (row,) = [line for line in output(server, "user", "list").splitlines() if host_user in line]
    assert row.split()[1] == HOST_NAME.replace("\x1b", "\\x1b")


async def test_users_of_a_host_application_are_found_by_the_hosts_id(server: Server, host_user: str):
    written_out = HOST_NAME.replace("\x1b", "\\x1b")
    assert output(server, "user", "disable", HOST_NAME) == f"{host_user} ({written_out}) is disabled\n"
    assert record(server, "user", "enable", HOST_NAME)["user_id"] == host_user
    happened = records(server, "ledger", "show", "--user", HOST_NAME)
    assert [line["tag"] for line in happened][-2:] == ["user.disabled.v1", "user.enabled.v1"]
    assert {line["stream_id"] for line in happened} == {f"user:{host_user}"}
    assert output(server, "grant", "list", "--user", HOST_NAME) == "No grant matches.\n"


async def test_a_user_without_any_name_is_shown_by_the_id_alone(server: Server, host_user: str):
    """Such a user has no private records any more."""
    with closing(sqlite3.connect(server.database, timeout=TIMEOUT)) as connection, connection:
        connection.execute("DELETE FROM private_record WHERE subject = ?", (host_user,))
    assert output(server, "user", "enable", host_user) == f"{host_user} is active\n"


def test_a_forbidden_password_is_refused_with_a_sentence(server: Server):
    arguments = ("user", "set-password", EMAIL, "--password-stdin")
    code, said, complaint = run(server, *arguments, stdin="short\n")
    assert (code, said) == (1, "")
    assert complaint == "grantledger: a password needs at least 12 characters\n"


async def test_each_change_of_a_client_or_grant_is_the_operators_act(server: Server, person: Person):
    client = (await person.register())["client_id"]
    await person.tokens(client)
    grant = record(server, "grant", "list", "--client", client)["grant_id"]
    before = len(records(server, "ledger", "show"))
    output(server, "client", "approve", client)
    output(server, "client", "disable", client)
    output(server, "client", "enable", client)
    output(server, "grant", "revoke", grant)
    lines = records(server, "ledger", "show")[before:]
    assert [line["tag"] for line in lines] == [
        "client.approved.v1",
        "client.disabled.v1",
        "client.enabled.v1",
        "token_grant.revoked.v1",
    ]
    assert {line["actor_kind"] for line in lines} == {"operator"}
    assert len({line["correlation_id"] for line in lines}) == 4


async def test_each_change_of_a_user_is_the_operators_act(server: Server):
    """Fails if the event names the user as actor."""
    output(server, "user", "add", "grace@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    before = len(records(server, "ledger", "show"))
    for change in ("disable", "enable", "erase-password"):
        output(server, "user", change, "grace@example.com")
    output(server, "user", "set-password", "grace@example.com", "--password-stdin", stdin=f"{NEW_PASSWORD}\n")
    output(server, "user", "set-name", "grace@example.com", "Grace")
    lines = records(server, "ledger", "show")[before:]
    assert [line["tag"] for line in lines] == [
        "user.disabled.v1",
        "user.enabled.v1",
        "user.password_erased.v1",
        "user.sessions_ended.v1",
        "user.password_changed.v1",
        "user.sessions_ended.v1",
        "user.name_changed.v1",
    ]
    assert {line["actor_kind"] for line in lines} == {"operator"}
    assert len({line["correlation_id"] for line in lines}) == 5


def test_an_operator_has_an_id_in_each_event(server: Server):
    output(server, "user", "add", "ida@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    output(server, "user", "disable", "ida@example.com", "--as", "night.shift-2")
    lines = records(server, "ledger", "show")[-2:]
    assert [line["actor_id"] for line in lines] == [pwd.getpwuid(os.getuid()).pw_name, "night.shift-2"]


def test_an_operators_id_is_no_address_and_no_sentence(server: Server):
    before = server.events()
    for name in ("grace@example.com", "night shift", "", "a" * 65):
        assert run(server, "user", "disable", EMAIL, "--as", name)[0] == 2
    assert server.events() == before


async def test_an_account_that_is_handed_over_has_no_apps(server: Server, person: Person):
    output(server, "user", "add", "olga@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client, email="olga@example.com")
    arguments = ("user", "set-password", "olga@example.com", "--password-stdin")
    output(server, *arguments, "--keep-apps", stdin=f"{PASSWORD}\n")
    assert (await person.session(tokens["access_token"])).status_code == 200
    output(server, *arguments, stdin=f"{NEW_PASSWORD}\n")
    assert (await person.session(tokens["access_token"])).status_code == 401
    assert (await person.refresh(client, tokens["refresh_token"])).status_code == 400


async def test_the_ledger_table_names_the_client_that_was_disabled(server: Server, person: Person):
    client = (await person.register())["client_id"]
    output(server, "client", "disable", client)
    *_, happened, whom = output(server, "ledger", "show").splitlines()
    assert "client disabled" in happened
    assert whom.strip() == f"client: {client}"


async def test_the_ledger_of_a_client_shows_that_an_operator_revoked_its_grant(
    server: Server, person: Person
):
    client = (await person.register())["client_id"]
    await person.tokens(client)
    output(server, "grant", "revoke", "--client", client, "--yes")
    last = records(server, "ledger", "show", "--client", client)[-1]
    assert (last["tag"], last["event"]["reason"]) == ("token_grant.revoked.v1", "revoked_by_operator")


async def test_what_a_client_calls_itself_cannot_write_to_the_terminal(server: Server, person: Person):
    client = (await person.register(client_name="Nice\u202e name\u009b31m"))["client_id"]
    for arguments in (("client", "list"), ("client", "show", client), ("ledger", "show", "--client", client)):
        said = output(server, *arguments)
        assert not {"\u202e", "\u009b", "\x1b"} & set(said)
