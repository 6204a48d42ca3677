from functools import partial

import pytest

from properties.consent_memory import ConsentMemory
from properties.consents_under_test import ConsentsOfTheUseCases, ConsentsOverHttp
from properties.profiles import run_machine


@pytest.fixture
def consents(system, storages, servers):
    systems = {
        "SQLite": partial(ConsentsOfTheUseCases, storages),
        "PostgreSQL": partial(ConsentsOfTheUseCases, storages),
        "HTTP": partial(ConsentsOverHttp, servers),
    }
    return systems[system]


def test_users_are_asked_for_all_that_they_have_not_allowed(consents, profile, report):
    report(run_machine(ConsentMemory, consents, profile))
