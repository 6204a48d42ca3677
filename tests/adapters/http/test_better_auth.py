"""`get-session` of Better Auth: what its client reads, and an outage that is no missing session."""

from typing import Any

import msgspec
import pytest
from litestar import Request

from grantledger.adapters.http.better_auth import BetterAuthPaths, BetterAuthSessionEndpoint
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.describe_server import DescribeServer
from grantledger.application.ports import Unavailable
from grantledger.domain.resource_indicator import Resource
from support.guarding import RESOURCE, FakeLedger
from support.policies import a_policy


def asking(token: str) -> AnyRequest:
    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope: Any = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    return Request(scope)


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def endpoint(ledger: FakeLedger) -> BetterAuthSessionEndpoint:
    return BetterAuthSessionEndpoint(ledger, Resource(RESOURCE))


async def test_the_session_has_what_betterauths_client_reads_and_no_more(endpoint):
    answer = await endpoint.get_session(asking("good"))
    assert answer.content == (
        b'{"accessToken":"good","accessTokenExpiresAt":"2033-05-18T03:33:20.000Z",'
        b'"clientId":"glc_editor","userId":"glu_ann","scopes":"todo:write"}'
    )


async def test_only_tokens_for_the_resource_of_the_path_are_looked_for(endpoint, ledger):
    await endpoint.get_session(asking("good"))
    assert ledger.asked == [("good", RESOURCE)]


async def test_an_outage_is_not_answered_as_a_refusal(endpoint, ledger):
    ledger.outage = Unavailable()
    with pytest.raises(Unavailable):
        await endpoint.get_session(asking("good"))


def metadata(**settings: Any) -> Any:
    """The metadata of the path, of a server with these settings."""
    paths = BetterAuthPaths(issuer="https://auth.example/api/auth", resource=Resource(RESOURCE))
    documents = paths.documents(DescribeServer(a_policy(**settings)))
    return msgspec.to_builtins(documents["/.well-known/oauth-authorization-server/api/auth"])


def test_the_metadata_names_no_endpoint_that_is_not_there():
    assert "registration_endpoint" not in metadata(registration_mode="closed")
    assert "userinfo_endpoint" not in metadata(server_scopes=("notes",), default_scope=("notes",))


def test_the_metadata_names_the_resource_of_the_path_alone():
    assert metadata()["protected_resources"] == (RESOURCE,)
