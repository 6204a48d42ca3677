from functools import partial

import pytest

from properties.profiles import run_machine
from properties.registration.machine import Registration
from properties.whole_server.over_http import SETTINGS, ServerOverHttp
from properties.whole_server.use_cases import ServerOfTheUseCases


@pytest.fixture
def server(system, storages, servers):
    systems = {
        "SQLite": partial(ServerOfTheUseCases, storages),
        "PostgreSQL": partial(ServerOfTheUseCases, storages),
        "HTTP": lambda: ServerOverHttp(servers(**SETTINGS)),
    }
    return systems[system]


def test_registrations_follow_rfc7591_member_by_member(server, profile, report):
    report(run_machine(Registration, server, profile))
