from functools import partial

import pytest

from properties.profiles import SYSTEMS, hold
from properties.registration.machine import Registration
from properties.whole_server.domain_tokens import ServerOfTheDomain
from properties.whole_server.over_http import SETTINGS, ServerOverHttp
from properties.whole_server.use_cases import ServerOfTheUseCases
from support.storage import in_memory


@pytest.fixture(params=SYSTEMS)
def server(request, sqlite_files, servers):
    systems = {
        "domain": ServerOfTheDomain,
        "memory ledger": partial(ServerOfTheUseCases, in_memory),
        "SQLite": partial(ServerOfTheUseCases, sqlite_files),
        "HTTP": lambda: ServerOverHttp(servers(**SETTINGS)),
    }
    return systems[request.param]


def test_a_registration_comes_to_what_the_rfc_says_of_each_member(server, profile, report):
    """Seen to catch: a deleted client still proves itself; registering again enables a disabled client; what
    a deleted client was granted goes to who registers after it.
    """
    report(hold(Registration, server, profile))
