"""A client or a grant as of a moment: its status then, and which of its tokens were accepted."""

from typing import Any, TypeVar

import pytest
from msgspec import Struct
from msgspec.structs import replace

from grantledger.application.history.as_of import (
    PastClient,
    PastGrant,
    PastUser,
    ReadClientAsOf,
    ReadGrantAsOf,
    ReadUserAsOf,
)
from grantledger.domain.aggregate import Kind, Versioned
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import GRANT, AccessTokensRevoked, GrantRefreshed, GrantRevoked
from grantledger.domain.user_account import USER, AccountDisabled, AccountOpened, RoleGranted, RoleRevoked
from support import clients, grants

S = TypeVar("S")
SECOND = 1_000_000
USER_OPENED = AccountOpened(user_id="glu_ada", opened_at=900)
REFRESHED = GrantRefreshed(
    generation=1,
    resource=grants.RESOURCE,
    scopes=("notes:read",),
    key_id="key-1",
    refreshed_at=1_500,
    access_expires_at=5_100,
    refresh_expires_at=606_300,
)


class Log:
    """A `PastReader` over events that were recorded at the given seconds."""

    def __init__(self, *recorded: tuple[int, Kind[Any], Struct]) -> None:
        self._recorded = recorded

    async def load_as_of(self, kind: Kind[S], key: str, moment: int) -> Versioned[S]:
        events = [event for at, of, event in self._recorded if of is kind and at * SECOND <= moment]
        return Versioned(kind=kind, key=key).evolved(events)


USUAL = ((950, CLIENT, clients.REGISTERED), (950, USER, USER_OPENED), (1_000, GRANT, grants.OPENED))


async def grant_at(second: int, *more: tuple[int, Kind[Any], Struct]) -> PastGrant | None:
    return await ReadGrantAsOf(Log(*USUAL, *more))("grant", second * SECOND)


async def client_at(second: int, *more: tuple[int, Kind[Any], Struct]) -> PastClient | None:
    return await ReadClientAsOf(Log(*USUAL, *more))("glc_editor", second * SECOND)


async def test_what_did_not_exist_yet_is_none():
    assert await grant_at(999) is None
    assert await client_at(949) is None


async def test_a_past_grant_shows_its_newest_access_and_when_its_tokens_expire():
    assert await grant_at(1_500, (1_500, GRANT, REFRESHED)) == PastGrant(
        grant_id="grant",
        version=2,
        status="live",
        client_id="glc_editor",
        client_registration=1,
        user_id="glu_ada",
        consented=grants.CONSENTED,
        access=grants.ONLY_READ,
        generation=1,
        opened_at=1_000,
        issued_at=1_500,
        access_expires_at=5_100,
        access_token_live=True,
        refresh_expires_at=606_300,
        refresh_token_live=True,
        expires_at=None,
        revoked=None,
    )


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ((1_100, GRANT, GrantRevoked(reason="revoked_by_client", revoked_at=1_100)), "revoked"),
        ((1_100, CLIENT, clients.DELETED), "client deleted"),
        ((1_100, CLIENT, clients.DISABLED), "client disabled"),
        ((1_100, USER, AccountDisabled(disabled_at=1_100)), "user disabled"),
    ],
)
async def test_a_refused_grant_has_the_reason_as_status_and_no_live_token(event: Any, status: str):
    before, now = await grant_at(1_099, event), await grant_at(1_100, event)
    assert before is not None
    assert now is not None
    assert (before.status, now.status) == ("live", status)
    assert (now.access_token_live, now.refresh_token_live) == (False, False)


async def test_a_grant_expires_with_its_refresh_token():
    last, over = await grant_at(605_799), await grant_at(605_800)
    assert last is not None
    assert over is not None
    assert (last.status, last.access_token_live, last.refresh_token_live) == ("live", False, True)
    assert (over.status, over.refresh_token_live) == ("expired", False)


async def test_a_grant_without_a_refresh_token_has_none_that_is_live():
    log = Log(*USUAL[:2], (1_000, GRANT, replace(grants.OPENED, refresh_expires_at=None)))
    found = await ReadGrantAsOf(log)("grant", 1_000 * SECOND)
    assert found is not None
    assert (found.access_token_live, found.refresh_token_live) == (True, False)


async def test_revoked_access_tokens_are_not_live_and_the_refresh_token_is():
    found = await grant_at(1_200, (1_200, GRANT, AccessTokensRevoked(through_generation=0, revoked_at=1_200)))
    assert found is not None
    assert (found.status, found.access_token_live, found.refresh_token_live) == ("live", False, True)


@pytest.mark.parametrize(
    ("events", "status"),
    [((), "active"), ((clients.DISABLED,), "disabled"), ((clients.DISABLED, clients.DELETED), "deleted")],
)
async def test_a_client_is_active_disabled_or_deleted(events: tuple[Struct, ...], status: str):
    found = await client_at(1_000, *((960, CLIENT, event) for event in events))
    assert found == PastClient(
        client_id="glc_editor",
        version=1 + len(events),
        status=status,
        registration=1,
        registered_at=1_000,
        is_public=True,
        metadata=clients.METADATA,
    )


async def user_at(second: int, *more: tuple[int, Kind[Any], Struct]) -> PastUser | None:
    return await ReadUserAsOf(Log(*USUAL, *more))("glu_ada", second * SECOND)


async def test_a_user_has_the_roles_of_that_moment():
    granted = (1_200, USER, RoleGranted(role="editor", granted_at=1_200))
    revoked = (1_300, USER, RoleRevoked(role="editor", revoked_at=1_300))
    assert await user_at(1_250, granted, revoked) == PastUser(
        user_id="glu_ada", version=2, status="active", opened_at=900, roles=("editor",)
    )
    for second in (1_199, 1_300):
        past = await user_at(second, granted, revoked)
        assert past is not None
        assert past.roles == ()


async def test_a_user_is_shown_as_disabled_from_that_moment_on():
    past = await user_at(1_300, (1_300, USER, AccountDisabled(disabled_at=1_300)))
    assert past is not None
    assert past.status == "disabled"


async def test_before_the_account_there_was_no_user():
    assert await user_at(949) is None
