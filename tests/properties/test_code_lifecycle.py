from functools import partial

import pytest

from properties.code_lifecycle import CodeLifecycle
from properties.codes_under_test import CodesOfTheDomain, CodesOfTheUseCases, CodesOverHttp
from properties.profiles import SYSTEMS, hold
from support.storage import in_memory


@pytest.fixture(params=SYSTEMS)
def codes(request, sqlite_files, servers):
    systems = {
        "domain": CodesOfTheDomain,
        "memory ledger": partial(CodesOfTheUseCases, in_memory),
        "SQLite": partial(CodesOfTheUseCases, sqlite_files),
        "HTTP": partial(CodesOverHttp, servers),
    }
    return systems[request.param]


def test_codes_open_one_grant_and_replays_end_it(codes, profile, report):
    """Seen to catch: a redeemed code is redeemed again."""
    report(hold(CodeLifecycle, codes, profile))
