from functools import partial

import pytest

from properties.grants_under_test import GrantsOfTheDomain, GrantsOfTheUseCases
from properties.profiles import hold
from properties.refresh_family import RefreshFamily
from support.storage import in_memory


@pytest.fixture(params=["domain", "memory ledger", "SQLite"])
def grants(request, sqlite_files):
    systems = {
        "domain": GrantsOfTheDomain,
        "memory ledger": partial(GrantsOfTheUseCases, storages=in_memory),
        "SQLite": partial(GrantsOfTheUseCases, storages=sqlite_files),
    }
    return systems[request.param]


def test_grants_live_by_the_refresh_table(grants, profile, report):
    report(hold(RefreshFamily, grants, profile))
