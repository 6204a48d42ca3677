from functools import partial

import pytest

from properties.grants_under_test import GrantsOfTheDomain, GrantsOfTheUseCases, GrantsOverHttp
from properties.profiles import SYSTEMS, hold
from properties.refresh_family import RefreshFamily
from support.storage import in_memory


@pytest.fixture(params=SYSTEMS)
def grants(request, sqlite_files, servers):
    systems = {
        "domain": GrantsOfTheDomain,
        "memory ledger": partial(GrantsOfTheUseCases, storages=in_memory),
        "SQLite": partial(GrantsOfTheUseCases, storages=sqlite_files),
        "HTTP": partial(GrantsOverHttp, servers=servers),
    }
    return systems[request.param]


def test_grants_live_by_the_refresh_table(grants, profile, report):
    """Seen to catch: each retry of a refresh rotates once more."""
    report(hold(RefreshFamily, grants, profile))
