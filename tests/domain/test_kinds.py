import re
from types import ModuleType
from typing import get_args

import msgspec
import pytest

from grantledger.domain import (
    authorization_code,
    browser_session,
    client_registration,
    consent,
    master_secrets,
    registration_tokens,
    resource,
    signing_keys,
    token_grant,
    user_account,
)
from grantledger.domain.kinds import EVENTS, KINDS, tag_of
from support import history

MODULES: dict[str, ModuleType] = {
    "client": client_registration,
    "code": authorization_code,
    "grant": token_grant,
    "consent": consent,
    "user": user_account,
    "signin": browser_session,
    "keys": signing_keys,
    "secrets": master_secrets,
    "regtokens": registration_tokens,
    "resources": resource,
}

# Every tag that was ever written to a ledger. Lines are added here, never changed or taken away.
SHIPPED = {
    "client.registered.v1",
    "client.disabled.v1",
    "client.enabled.v1",
    "client.approved.v1",
    "client.approval_withdrawn.v1",
    "client.deleted.v1",
    "client.access_tokens_limited.v1",
    "client.secret_rotated.v1",
    "authorization_code.issued.v1",
    "authorization_code.redeemed.v1",
    "authorization_code.replayed.v1",
    "token_grant.opened.v1",
    "token_grant.refreshed.v1",
    "token_grant.access_token_signed.v1",
    "token_grant.refresh_retried_elsewhere.v1",
    "token_grant.refresh_token_reused.v1",
    "token_grant.access_tokens_revoked.v1",
    "token_grant.revoked.v1",
    "consent.given.v1",
    "consent.withdrawn.v1",
    "user.opened.v1",
    "user.disabled.v1",
    "user.enabled.v1",
    "user.password_erased.v1",
    "user.name_changed.v1",
    "user.password_changed.v1",
    "user.sessions_ended.v1",
    "user.sign_ins_failed.v1",
    "user.role_granted.v1",
    "user.role_revoked.v1",
    "browser_session.signed_in.v1",
    "browser_session.signed_out.v1",
    "signing_key.created.v1",
    "signing_key.activated.v1",
    "signing_key.retired.v1",
    "master_secret.added.v1",
    "master_secret.activated.v1",
    "master_secret.retired.v1",
    "registration_token.added.v1",
    "registration_token.revoked.v1",
    "resource.added.v1",
    "resource.secret_rotated.v1",
    "resource.removed.v1",
}


def test_kinds_are_found_by_the_category_of_their_streams():
    assert {category: kind.category for category, kind in KINDS.items()} == {name: name for name in MODULES}


@pytest.mark.parametrize("category", MODULES)
def test_a_kind_lists_every_event_of_its_union(category):
    union = MODULES[category].Event
    assert set(KINDS[category].events) == set(get_args(union) or (union,))


def test_the_known_tags_are_exactly_the_shipped_ones():
    assert set(EVENTS) == SHIPPED


def test_no_two_events_share_a_tag():
    assert len(EVENTS) == sum(len(kind.events) for kind in KINDS.values())


@pytest.mark.parametrize("tag", sorted(SHIPPED))
def test_a_tag_is_subject_fact_and_version(tag):
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+\.v[1-9][0-9]*", tag)


@pytest.mark.parametrize("tag", sorted(SHIPPED))
def test_an_event_is_found_by_its_tag(tag):
    assert tag_of(EVENTS[tag]) == tag


@pytest.mark.parametrize("tag", sorted(SHIPPED))
def test_an_event_cannot_be_changed(tag):
    assert EVENTS[tag].__struct_config__.frozen


@pytest.mark.parametrize("tag", sorted(SHIPPED))
def test_an_event_reads_back_as_it_was_written(tag):
    happened = history.example(tag)
    assert msgspec.json.decode(msgspec.json.encode(happened), type=EVENTS[tag]) == happened


@pytest.mark.parametrize("category", MODULES)
def test_a_history_with_every_event_of_a_kind_folds_into_its_state(category):
    kind = KINDS[category]
    state = None
    for event in history.every_event(category):
        state = kind.evolve(state, event)
    assert type(state) is kind.state


@pytest.mark.parametrize("category", MODULES)
def test_a_folded_state_reads_back_as_it_was_written(category):
    kind = KINDS[category]
    state = None
    for event in history.every_event(category):
        state = kind.evolve(state, event)
    assert msgspec.json.decode(msgspec.json.encode(state), type=kind.state) == state


@pytest.mark.parametrize("category", MODULES)
def test_the_example_history_of_a_kind_has_all_its_events(category):
    assert {type(event) for event in history.every_event(category)} == set(KINDS[category].events)
