from functools import partial

import pytest

from properties.profiles import SYSTEMS, hold
from properties.whole_server.domain_tokens import ServerOfTheDomain
from properties.whole_server.machine import WholeServer
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


def test_the_server_keeps_its_promises(server, profile, report):
    """Seen to catch: a replay leaves the grant as it was; a retry for another scope gets the current pair; a
    revoked grant lives on; what a deleted client was granted goes to who registers after it; a yes for one
    redirect host counts for all; a look-up does not compare the resource.
    """
    report(hold(WholeServer, server, profile))
