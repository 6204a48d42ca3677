"""A guard, called with raw ASGI messages."""

from functools import partial

import pytest

from grantledger.adapters.guards.asgi import BearerGuard
from support.guarding import Call, FakeLedger, GuardedApp, calling, guarded


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def app() -> GuardedApp:
    return GuardedApp()


@pytest.fixture
def guard(app: GuardedApp, ledger: FakeLedger) -> BearerGuard:
    return BearerGuard(app, guarded(ledger))


@pytest.fixture
def call(guard: BearerGuard) -> Call:
    return partial(calling, guard)
