from functools import partial

import pytest

from properties.consent_memory import ConsentMemory
from properties.consents_under_test import ConsentsOfTheDomain, ConsentsOfTheUseCases, ConsentsOverHttp
from properties.profiles import SYSTEMS, hold
from support.storage import in_memory


@pytest.fixture(params=SYSTEMS)
def consents(request, sqlite_files, servers):
    systems = {
        "domain": ConsentsOfTheDomain,
        "memory ledger": partial(ConsentsOfTheUseCases, in_memory),
        "SQLite": partial(ConsentsOfTheUseCases, sqlite_files),
        "HTTP": partial(ConsentsOverHttp, servers),
    }
    return systems[request.param]


def test_users_are_asked_for_all_that_they_have_not_allowed_yet(consents, profile, report):
    """Seen to catch: a yes for one redirect host counts for all; a yes for one resource counts for all; a yes
    to some scopes counts for all; a yes counts for whoever registers after the client; a yes is remembered
    where any program may listen.
    """
    report(hold(ConsentMemory, consents, profile))
