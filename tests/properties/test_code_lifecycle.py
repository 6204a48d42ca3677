from functools import partial

import pytest

from properties.code_lifecycle import CodeLifecycle
from properties.codes_under_test import CodesOfTheUseCases, CodesOverHttp
from properties.profiles import run_machine


@pytest.fixture
def codes(system, storages, servers):
    systems = {
        "SQLite": partial(CodesOfTheUseCases, storages),
        "PostgreSQL": partial(CodesOfTheUseCases, storages),
        "HTTP": partial(CodesOverHttp, servers),
    }
    return systems[system]


def test_codes_open_one_grant_and_replays_end_it(codes, profile, report):
    report(run_machine(CodeLifecycle, codes, profile))
