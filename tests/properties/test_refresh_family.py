from functools import partial

import pytest

from properties.grants_under_test import GrantsOfTheUseCases, GrantsOverHttp, GrantsWithJwts
from properties.profiles import run_machine
from properties.refresh_family import RefreshFamily
from support.stores import once


@pytest.fixture
def grants(system, storages, servers):
    systems = {
        "SQLite": partial(GrantsOfTheUseCases, storages=storages),
        "PostgreSQL": partial(GrantsOfTheUseCases, storages=storages),
        "HTTP": partial(GrantsOverHttp, servers=servers),
    }
    return systems[system]


def test_grants_live_by_the_refresh_table(grants, profile, report):
    report(run_machine(RefreshFamily, grants, profile))


@pytest.mark.full
@once("uses SQLite in this process")
@pytest.mark.parametrize("system", ["SQLite"], indirect=True)
def test_grants_with_jwts_live_by_the_refresh_table(sqlite_files, profile, report):
    report(run_machine(RefreshFamily, partial(GrantsWithJwts, storages=sqlite_files), profile))
