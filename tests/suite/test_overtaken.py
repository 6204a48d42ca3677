"""The check of promise 11 over a log finds what it is there to find."""

from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from adapters.ledger import facts
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.recorder import Recorder
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from grantledger.domain.authorization_code import CodeRedeemed, CodeReplayed
from grantledger.domain.browser_session import SignedIn, SignedOut
from grantledger.domain.client_registration import (
    ClientDeleted,
    ClientDisabled,
    ClientEnabled,
)
from grantledger.domain.consent import ConsentGiven, ConsentWithdrawn, consent_key
from grantledger.domain.kinds import EVENTS
from grantledger.domain.signing_keys import KeyActivated, KeyCreated, KeyRetired, PublicKey
from grantledger.domain.token_grant import (
    AccessTokenSigned,
    AccessTokensRevoked,
    GrantRefreshed,
    GrantRevoked,
    RefreshRetriedElsewhere,
    RefreshTokenReused,
)
from grantledger.domain.user_account import (
    AccountDisabled,
    AccountEnabled,
    AccountOpened,
    PasswordChanged,
    RoleGranted,
    RoleRevoked,
    SessionsEnded,
    SignInsFailed,
)
from support import clients, codes, grants, own_rules
from support.overtaken import Line, overtaken, wrong

CLIENT, USER, SESSION, CODE, GRANT, KEYS = (
    "client:glc_editor",
    "user:glu_ada",
    "signin:session",
    "code:code",
    "grant:grant",
    "keys:signing",
)
CONSENT = f"consent:{consent_key('glu_ada', 'glc_editor')}"

Event = tuple[str, Struct]
Append = list[Event]

CREATED = KeyCreated(kid="key-1", alg="ES256", public_key=PublicKey(kty="EC"), created_at=1)
SIGNED_IN = SignedIn(
    session_id="session", user_id="glu_ada", secret_digest="digest", signed_in_at=1_000, expires_at=9_000
)
ISSUED = replace(codes.ISSUED, transaction_id="code")
GIVEN = ConsentGiven(
    user_id="glu_ada",
    client_id="glc_editor",
    client_registration=1,
    redirect_host="client.example",
    resource=ISSUED.resource,
    scopes=ISSUED.scopes,
    given_at=1_000,
)
REDEEMED = CodeRedeemed(grant_id="grant", redeemed_at=1_010)
OPENED = replace(grants.OPENED, code_key="code", scopes=ISSUED.scopes)
REFRESHED = GrantRefreshed(
    generation=1,
    resource=ISSUED.resource,
    scopes=ISSUED.scopes,
    key_id="key-1",
    refreshed_at=1_100,
    access_expires_at=4_600,
    refresh_expires_at=605_800,
)
REVOKED = GrantRevoked(reason="revoked_by_user", revoked_at=1_200)

SIGNED_IN_ADA: list[Append] = [
    [
        (KEYS, CREATED),
        (KEYS, KeyActivated(kid="key-1", activated_at=1)),
        (KEYS, replace(CREATED, kid="key-2")),
    ],
    [(CLIENT, clients.REGISTERED)],
    [(USER, AccountOpened(user_id="glu_ada", opened_at=1_000))],
    [(SESSION, SIGNED_IN)],
]
ALLOW: Append = [(CONSENT, GIVEN), (CODE, ISSUED)]
REDEEM: Append = [(CODE, REDEEMED), (GRANT, OPENED), (GRANT, AccessTokenSigned(kid="key-1"))]
REFRESH: Append = [(GRANT, REFRESHED)]
STORY = [*SIGNED_IN_ADA, ALLOW, REDEEM, REFRESH]


def log_of(*appends: Append, actor_kind: str = "client") -> list[Line]:
    """Return the log of these appends; `actor_kind` is that of the last."""
    versions: dict[str, int] = {}
    lines = []
    for number, append in enumerate(appends):
        actor = actor_kind if number == len(appends) - 1 else "client"
        for stream_id, event in append:
            version = versions[stream_id] = versions.get(stream_id, 0) + 1
            lines.append(
                Line(
                    append_id=bytes([number]),
                    stream_id=stream_id,
                    version=version,
                    event=event,
                    actor_kind=actor,
                )
            )
    return lines


def test_a_log_in_which_everything_is_decided_is_good():
    replayed = [(CODE, CodeReplayed(grant_id="grant", replayed_at=1_300)), (GRANT, REVOKED)]
    withdrawn: Append = [(CONSENT, ConsentWithdrawn(withdrawn_at=1_400))]
    assert wrong(log_of(*STORY, replayed, withdrawn, [(CONSENT, GIVEN)])) == []


@pytest.mark.parametrize(
    "event",
    [
        (CLIENT, clients.REGISTERED),
        (CLIENT, ClientEnabled(enabled_at=1_300)),
        (CODE, ISSUED),
        (CODE, replace(REDEEMED, grant_id="another")),
        (CODE, CodeReplayed(grant_id="another", replayed_at=1_300)),
        (GRANT, OPENED),
        (GRANT, REFRESHED),
        (GRANT, replace(REFRESHED, generation=3)),
        (GRANT, replace(REFRESHED, generation=2, refreshed_at=605_800)),
        (GRANT, replace(REFRESHED, generation=2, scopes=("notes:write",))),
        (GRANT, RefreshRetriedElsewhere(generation=1, retried_at=1_300)),
        (GRANT, RefreshTokenReused(generation=1, reused_at=1_300)),
        (GRANT, AccessTokensRevoked(through_generation=2, revoked_at=1_300)),
        (CONSENT, GIVEN),
        (USER, AccountOpened(user_id="glu_ada", opened_at=1_000)),
        (USER, AccountEnabled(enabled_at=1_300)),
        (USER, SessionsEnded(session_epoch=2, ended_at=1_300)),
        (USER, RoleRevoked(role="editor", revoked_at=1_300)),
        (SESSION, SIGNED_IN),
        (KEYS, CREATED),
        (KEYS, KeyActivated(kid="key-3", activated_at=1_300)),
    ],
    ids=lambda event: f"{event[0].partition(':')[0]} {type(event[1]).__name__}",
)
def test_an_event_that_its_stream_forbids_is_named(event: Event):
    found = wrong(log_of(*STORY, [event]))
    assert any(f"{event[0]}: " in line and "though no decision records it" in line for line in found)


@pytest.mark.parametrize(
    "event",
    [
        (CLIENT, ClientDisabled(disabled_at=1_300)),
        (CLIENT, ClientDeleted(deleted_at=1_300)),
        (GRANT, REVOKED),
        (CONSENT, ConsentWithdrawn(withdrawn_at=1_300)),
        (USER, AccountDisabled(disabled_at=1_300)),
        (USER, SignInsFailed(failures=1, since=1, counted_at=1_300)),
        (USER, RoleGranted(role="editor", granted_at=1_300)),
        (SESSION, SignedOut(signed_out_at=1_300)),
    ],
    ids=lambda event: type(event[1]).__name__,
)
def test_an_event_that_is_recorded_once_is_named_the_second_time(event: Event):
    assert wrong(log_of(*STORY, [event])) == []
    (found,) = wrong(log_of(*STORY, [event], [event]))
    assert found.startswith(event[0])


CLIENT_DISABLED: Event = (CLIENT, ClientDisabled(disabled_at=1_300))
CLIENT_DELETED: Event = (CLIENT, ClientDeleted(deleted_at=1_300))
USER_DISABLED: Event = (USER, AccountDisabled(disabled_at=1_300))
WITHDRAWN: Event = (CONSENT, ConsentWithdrawn(withdrawn_at=1_300))
SIGNED_OUT: Event = (SESSION, SignedOut(signed_out_at=1_300))
ENDED: Event = (USER, SessionsEnded(session_epoch=1, ended_at=1_300))


@pytest.mark.parametrize(
    ("before", "change", "overtaken_by_it", "why"),
    [
        ([], CLIENT_DISABLED, ALLOW, "the client is refused: ClientIsDisabled"),
        ([], CLIENT_DELETED, ALLOW, "the client is refused: ClientUnknown"),
        ([], USER_DISABLED, ALLOW, "the user is disabled"),
        ([], SIGNED_OUT, ALLOW, "the session is signed out"),
        ([], ENDED, ALLOW, "all sessions were ended"),
        ([ALLOW], CLIENT_DISABLED, REDEEM, "the client is refused: ClientIsDisabled"),
        ([ALLOW], USER_DISABLED, REDEEM, "the user is disabled"),
        ([ALLOW], WITHDRAWN, REDEEM, "the consent is withdrawn"),
        ([ALLOW, REDEEM], CLIENT_DISABLED, REFRESH, "the client is refused: ClientIsDisabled"),
        ([ALLOW, REDEEM], USER_DISABLED, REFRESH, "the user is disabled"),
        ([], USER_DISABLED, [("signin:other", SIGNED_IN)], "the user is disabled"),
        ([], ENDED, [("signin:other", SIGNED_IN)], "all sessions were ended"),
    ],
)
def test_an_event_behind_another_that_forbids_it_is_named(
    before: list[Append], change: Event, overtaken_by_it: Append, why: str
):
    assert wrong(log_of(*SIGNED_IN_ADA, *before, overtaken_by_it)) == []
    found = wrong(log_of(*SIGNED_IN_ADA, *before, [change], overtaken_by_it))
    assert any(why in line for line in found)


def test_a_client_that_registers_again_after_a_deletion_is_good():
    assert wrong(log_of(*STORY, [CLIENT_DELETED], [(CLIENT, clients.REGISTERED)])) == []


def test_a_grant_of_an_earlier_registration_that_is_refreshed_is_named():
    again: Append = [(CLIENT, clients.REGISTERED)]
    found = wrong(log_of(*STORY[:-1], [CLIENT_DELETED], again, REFRESH))
    assert any("the client is refused: ClientUnknown" in line for line in found)


def test_a_used_client_that_the_server_deletes_is_named():
    assert wrong(log_of(*STORY, [CLIENT_DELETED], actor_kind="operator")) == []
    assert wrong(log_of(*STORY, [CLIENT_DELETED], actor_kind="system")) == [
        f"{CLIENT}: client.deleted.v1 though the client was used"
    ]


@pytest.mark.parametrize(
    ("append", "why"),
    [
        ([(CODE, REDEEMED)], "without token_grant.opened.v1"),
        ([(CODE, REDEEMED), ("grant:other", OPENED)], "its code was redeemed for another grant"),
    ],
)
def test_a_redemption_that_is_not_whole_is_named(append: Append, why: str):
    assert any(why in line for line in wrong(log_of(*SIGNED_IN_ADA, ALLOW, append)))


@pytest.mark.parametrize(
    ("append", "why"),
    [
        ([(CODE, CodeReplayed(grant_id="grant", replayed_at=1_300))], "it is replayed, but its grant lives"),
        ([(GRANT, RefreshTokenReused(generation=0, reused_at=1_300))], "without token_grant.revoked.v1"),
        ([(USER, PasswordChanged(changed_at=1_300))], "without user.sessions_ended.v1"),
        (
            [(KEYS, KeyRetired(kid="key-1", retired_at=1_300, published_until=1_300))],
            "not one active and one next key for ES256",
        ),
    ],
)
def test_an_append_that_is_not_whole_is_named(append: Append, why: str):
    assert any(why in line for line in wrong(log_of(*STORY, append)))


def test_an_append_that_is_written_twice_is_named():
    lines = log_of(*STORY, [USER_DISABLED], [SIGNED_OUT], [(USER, AccountEnabled(enabled_at=1_400))])
    again = [*lines[:-1], replace(lines[-1], append_id=lines[-3].append_id)]
    assert wrong(lines) == []
    assert wrong(again) == [f"{USER}: its append was written twice"]


def test_a_version_that_is_missing_is_named():
    lines = log_of(*STORY, [USER_DISABLED])
    assert wrong([*lines[:-1], replace(lines[-1], version=3)]) == [
        f"{USER}: user.disabled.v1 though the stream is at version 1"
    ]


def test_realms_are_judged_one_by_one():
    lines = log_of(*STORY)
    assert wrong([*lines, *(replace(line, realm="other") for line in lines)]) == []


def test_every_event_has_a_rule():
    assert set(EVENTS.values()) == {*own_rules.RULES, *own_rules.FIRST}


def test_the_log_of_a_ledger_is_judged(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "ledger.sqlite3")
    migrations.migrate(database)
    recorder = Recorder(database)
    recorder.insert_events([facts.stored(CLIENT, 1, clients.REGISTERED)])
    recorder.insert_events([facts.stored(CLIENT, 2, clients.REGISTERED)])
    assert overtaken(database.path) == [
        f"{CLIENT}: client.registered.v1 though no decision records it in that state"
    ]
