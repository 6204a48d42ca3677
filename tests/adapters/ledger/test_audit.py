"""Reading the log: who did what to whom."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, a_ledger, digest_of_address, rows_of
from grantledger.adapters.ledger.audit import Audit, Filter, Line
from grantledger.adapters.ledger.mapper import TagMapper, UnknownTag
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.adapters.ledger.uuid7 import uuid7
from grantledger.application.provenance import Caller, by_client, by_operator, by_user
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import CODE, CodeRedeemed
from grantledger.domain.browser_session import SIGNIN, SignedIn, SignedOut
from grantledger.domain.client_registration import CLIENT, ClientDisabled
from grantledger.domain.consent import CONSENT, ConsentGiven, ConsentWithdrawn
from grantledger.domain.token_grant import GRANT
from grantledger.domain.user_account import USER, AccountDisabled
from support import codes

CALLER = Caller(correlation_id="request", trace_id="trace", address="203.0.113.7")
EDITOR, BROWSER = by_client("glc_editor", CALLER), by_user("glu_ada", CALLER)
START = datetime(2026, 11, 21, 9, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def ledger(database: WatchedDatabase) -> AsyncIterator[SqliteLedger]:
    """Each append is recorded an hour after the one before.

    The clock is read twice for each: for the ids, and when it is written.
    """
    halves = itertools.count()
    start = int(START.timestamp())
    ledger = a_ledger(database, now=lambda: (start + 1_800 * (next(halves) - 1)) * 1_000_000)
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture
async def audit(ledger: SqliteLedger, database: WatchedDatabase) -> Audit:
    """Ada lets the editor in, Bob another program; then an operator disables Ada, and the editor."""
    await ledger.record([facts.registered("glc_editor")], by_operator(CALLER))
    await ledger.record(
        [facts.opened_account("glu_ada"), facts.opened_account("glu_bob")], by_operator(CALLER)
    )
    signed_in = SignedIn(session_id="s", user_id="glu_ada", secret_digest="d", signed_in_at=1, expires_at=2)
    await ledger.record([Versioned(kind=SIGNIN, key="session").then((signed_in,))], BROWSER)
    consent = ConsentGiven(
        user_id="glu_ada",
        client_id="glc_editor",
        client_registration=1,
        redirect_host="client.example",
        resource=codes.ISSUED.resource,
        scopes=("openid",),
        given_at=1,
    )
    await ledger.record(
        [Versioned(kind=CONSENT, key="consent").then((consent,)), facts.issued("ada-code")], BROWSER
    )
    code = await ledger.load(CODE, "ada-code")
    redeemed = code.then((CodeRedeemed(grant_id="ada-grant", redeemed_at=1),))
    await ledger.record([redeemed, facts.opened("ada-grant", code_key="ada-code")], EDITOR)
    bob = {"user_id": "glu_bob", "client_id": "glc_other"}
    named_like_ada = bob | {"session_id": "glu_ada"}
    await ledger.record(
        [facts.issued("bob-code", **named_like_ada)], by_user("glu_bob", CALLER, client_id="glc_other")
    )
    await ledger.record(
        [facts.opened("bob-grant", code_key="bob-code", **bob)], by_client("glc_other", CALLER)
    )
    await ledger.record([facts.refreshed(await ledger.load(GRANT, "ada-grant"))], EDITOR)
    session = await ledger.load(SIGNIN, "session")
    await ledger.record([session.then((SignedOut(signed_out_at=2),))], BROWSER)
    ada, editor = await ledger.load(USER, "glu_ada"), await ledger.load(CLIENT, "glc_editor")
    await ledger.record([ada.then((AccountDisabled(disabled_at=2),))], by_operator(CALLER))
    await ledger.record([editor.then((ClientDisabled(disabled_at=2),))], by_operator(CALLER))
    return Audit(database, TagMapper(), page=2)


ADA = [
    "user.opened.v1",
    "browser_session.signed_in.v1",
    "consent.given.v1",
    "authorization_code.issued.v1",
    "authorization_code.redeemed.v1",
    "token_grant.opened.v1",
    "token_grant.refreshed.v1",
    "browser_session.signed_out.v1",
    "user.disabled.v1",
]


def tags(lines: list[Line]) -> list[str]:
    return [line.tag for line in lines]


async def test_without_a_filter_everything_is_read_in_order(audit: Audit):
    lines = list(audit.lines(Filter()))
    assert [line.position for line in lines] == list(range(1, 15))


async def test_a_user_is_followed_through_account_sessions_consents_codes_and_grants(audit: Audit):
    assert tags(list(audit.lines(Filter(user="glu_ada")))) == ADA


async def test_a_client_is_followed_through_what_happened_to_it_and_for_it(audit: Audit):
    assert tags(list(audit.lines(Filter(client="glc_editor")))) == [
        "client.registered.v1",
        "consent.given.v1",
        "authorization_code.issued.v1",
        "authorization_code.redeemed.v1",
        "token_grant.opened.v1",
        "token_grant.refreshed.v1",
        "client.disabled.v1",
    ]


EDITOR_OF_ADA = {"client": "glc_editor", "user": "glu_ada"}


@pytest.mark.parametrize(
    ("tag", "about"),
    [
        ("client.disabled.v1", {"client": "glc_editor"}),
        ("user.disabled.v1", {"user": "glu_ada"}),
        ("token_grant.refreshed.v1", {"grant": "ada-grant"}),
        ("consent.given.v1", EDITOR_OF_ADA),
        ("browser_session.signed_out.v1", {"user": "glu_ada"}),
    ],
)
async def test_a_line_names_whom_it_is_about_though_the_event_does_not(audit: Audit, tag, about):
    (line,) = (line for line in audit.lines(Filter()) if line.tag == tag)
    assert line.about == about


async def test_who_was_disconnected_by_whom_is_told_from_the_consent_that_was_withdrawn(
    audit: Audit, ledger: SqliteLedger
):
    consent = await ledger.load(CONSENT, "consent")
    await ledger.record([consent.then((ConsentWithdrawn(withdrawn_at=3),))], BROWSER)
    for wanted in (Filter(client="glc_editor"), Filter(user="glu_ada")):
        *_, last = audit.lines(wanted)
        assert (last.tag, last.about) == ("consent.withdrawn.v1", EDITOR_OF_ADA)


async def test_a_grant_is_followed_with_the_code_that_opened_it(audit: Audit):
    assert tags(list(audit.lines(Filter(grant="ada-grant")))) == [
        "authorization_code.issued.v1",
        "authorization_code.redeemed.v1",
        "token_grant.opened.v1",
        "token_grant.refreshed.v1",
    ]


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-5))])
async def test_since_leaves_out_what_was_recorded_before(audit: Audit, zone: timezone):
    since = (START + 7 * AN_HOUR).astimezone(zone)
    assert tags(list(audit.lines(Filter(user="glu_ada", since=since)))) == ADA[-3:]


async def test_several_filters_hold_together(audit: Audit):
    lines = audit.lines(Filter(client="glc_editor", user="glu_ada", since=START + 5 * AN_HOUR))
    assert tags(list(lines)) == ["token_grant.refreshed.v1"]


@pytest.mark.parametrize(
    "nobody", [Filter(user="glu_a"), Filter(client="glc_edit"), Filter(grant="grant"), Filter(user='"')]
)
async def test_what_is_only_part_of_a_name_finds_nothing(audit: Audit, nobody: Filter):
    assert list(audit.lines(nobody)) == []


async def test_a_users_streams_are_known_from_the_log_alone(audit: Audit, database: WatchedDatabase):
    for table in ("token_grant", "code", "consent", "signin", "user_account"):
        rows_of(database, f"DELETE FROM {table}")
    assert tags(list(audit.lines(Filter(user="glu_ada")))) == ADA


async def test_a_line_tells_the_event_and_all_that_stands_beside_it(audit: Audit):
    redeemed, opened = list(audit.lines(Filter(grant="ada-grant")))[1:3]
    ids = uuid7(int((START + 3.5 * AN_HOUR).timestamp()) * 1_000_000, 0)
    assert redeemed.event == CodeRedeemed(grant_id="ada-grant", redeemed_at=1)
    assert (redeemed.position, redeemed.stream_id, redeemed.version) == (7, "code:ada-code", 2)
    assert (redeemed.causation_id, opened.causation_id) == (None, redeemed.event_id)
    assert isinstance(redeemed.event_id, UUID)
    assert redeemed.event_id.bytes[:6] == ids[:6]
    assert redeemed.append_id == opened.append_id
    assert redeemed.recorded_at == START + 4 * AN_HOUR
    assert (redeemed.actor_kind, redeemed.actor_id, redeemed.client_id) == (
        "client",
        "glc_editor",
        "glc_editor",
    )
    assert (redeemed.correlation_id, redeemed.trace_id) == ("request", "trace")
    assert redeemed.address_digest == digest_of_address("203.0.113.7").hex()


async def test_what_a_tool_wrote_without_an_envelope_is_read_too(audit: Audit, ledger: SqliteLedger):
    event = TagMapper().stored("user:glu_eve", 1, facts.opened_account("glu_eve").events[0])
    ledger.recorder.insert_events([event])
    (line,) = audit.lines(Filter(user="glu_eve"))
    assert (line.recorded_at, line.event_id, line.actor_kind) == (None, None, None)


async def test_an_event_that_this_release_does_not_know_is_not_passed_over(
    audit: Audit, ledger: SqliteLedger
):
    ledger.recorder.insert_events([StoredEvent("elsewhere:1", 1, "something.new.v1", b"{}")])
    with pytest.raises(UnknownTag):
        list(audit.lines(Filter()))


async def test_what_is_recorded_while_somebody_reads_waits_for_the_next_audit(
    audit: Audit, ledger: SqliteLedger
):
    lines = audit.lines(Filter())
    next(lines)
    await ledger.record([facts.opened_account("glu_eve")], facts.SOMEBODY)
    assert len(list(lines)) == 13
