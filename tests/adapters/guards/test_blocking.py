"""`SyncMcpAuthClient` and the guard for WSGI applications, which have no event loop."""

import asyncio
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from grantledger.adapters.guards.blocking import SyncMcpAuthClient
from grantledger.adapters.guards.client import McpAuthClient
from grantledger.adapters.guards.session import current_session
from grantledger.adapters.guards.wsgi import WSGIApp, with_mcp_auth_wsgi
from grantledger.application.ports import Unavailable
from support.issuer import ISSUER, METADATA, RESOURCE, FakeIssuer


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
def client(issuer) -> Iterator[SyncMcpAuthClient]:
    client = SyncMcpAuthClient(
        issuer=ISSUER, resource=RESOURCE, cache_seconds=3_600, scopes=("notes:read",), http=issuer.http()
    )
    yield client
    client.close()


def whoami(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answers after it has returned, as a stream does."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    session = current_session()
    yield b"no session" if session is None else str(session.user_id).encode()


class Answer:
    def __init__(self, app: WSGIApp, method: str = "POST", path: str = "/mcp", **environ: str) -> None:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            self.status, self.headers = int(status.split(maxsplit=1)[0]), {k.lower(): v for k, v in headers}

        given = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
        self.body = b"".join(app({**given, **environ}, start))


GOOD = {"HTTP_AUTHORIZATION": "Bearer good"}


def test_verifies_without_an_event_loop(client):
    assert client.verify_token("good").user_id == "glu_ann"
    assert client.verify_token("bad") is None
    assert client.get_session({"Authorization": "Bearer good"}).user_id == "glu_ann"
    assert client.get_session({}) is None


def test_threads_share_one_request_for_one_token(client, issuer):
    issuer.delay = lambda: asyncio.sleep(0.05)
    with ThreadPoolExecutor(8) as threads:
        sessions = list(threads.map(client.verify_token, ["good"] * 16))
    assert {session.user_id for session in sessions} == {"glu_ann"}
    assert issuer.paths() == ["/session"]


def test_an_outage_is_raised(client, issuer):
    issuer.answers["/session"] = httpx2.ConnectError("refused")
    with pytest.raises(Unavailable):
        client.verify_token("good")


def test_may_be_used_again_after_it_was_closed(client):
    client.verify_token("good")
    client.close()
    client.close()
    assert client.verify_token("other") is None


def test_a_forked_process_has_a_thread_of_its_own(client):
    """gunicorn forks its workers after the program has made the client, and perhaps used it."""
    assert client.verify_token("good") is not None
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            status = 0 if client.verify_token("other") is None else 2
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def guarded(client) -> WSGIApp:
    return with_mcp_auth_wsgi(whoami, client, public=("/health",))


def test_a_wsgi_application_knows_its_caller_while_it_writes_its_body(guarded):
    answer = Answer(guarded, **GOOD)
    assert (answer.status, answer.body) == (200, b"glu_ann")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert current_session() is None


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "DELETE"])
def test_a_wsgi_guard_challenges_every_method(guarded, method):
    answer = Answer(guarded, method)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == (
        'Bearer scope="notes:read", '
        'resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp"'
    )
    assert (answer.body == b"") == (method == "HEAD")


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"HTTP_AUTHORIZATION": "Bearer bad"}, 401),
        ({"HTTP_AUTHORIZATION": "Bearer good,Bearer good"}, 400),
        ({"QUERY_STRING": "access_token=good"}, 400),
        ({"HTTP_AUTHORIZATION": "Basic Z29vZA=="}, 401),
    ],
)
def test_a_wsgi_guard_refuses_bad_requests(guarded, environ, status):
    assert Answer(guarded, **environ).status == status


def test_a_wsgi_guard_answers_503_in_an_outage(guarded, issuer):
    issuer.answers["/session"] = httpx2.ConnectError("refused")
    answer = Answer(guarded, **GOOD)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "www-authenticate" not in answer.headers


def test_a_wsgi_guard_refuses_pages_of_origins_that_are_not_listed(issuer):
    origin = "https://a.example"
    listed = SyncMcpAuthClient(issuer=ISSUER, resource=RESOURCE, allowed_origin=[origin], http=issuer.http())
    guarded = with_mcp_auth_wsgi(whoami, listed)
    for path in ("/mcp", METADATA):
        assert Answer(guarded, "GET", path, HTTP_ORIGIN="https://evil.example", **GOOD).status == 403
    assert issuer.asked == []
    answer = Answer(guarded, HTTP_ORIGIN=origin, **GOOD)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    listed.close()


def test_a_wsgi_guard_with_an_async_client_does_not_start():
    client: Any = McpAuthClient(issuer=ISSUER, resource=RESOURCE)
    with pytest.raises(TypeError, match="auth must be a SyncMcpAuthClient"):
        with_mcp_auth_wsgi(lambda *_: [], client)


def test_a_wsgi_guard_demands_scopes(client):
    answer = Answer(with_mcp_auth_wsgi(whoami, client, required_scopes=("notes:write",)), **GOOD)
    assert answer.status == 403
    assert 'scope="notes:write"' in answer.headers["www-authenticate"]


def test_a_wsgi_guard_answers_preflights_and_public_paths(guarded):
    assert Answer(guarded, "OPTIONS").status == 204
    assert Answer(guarded, "GET", "/health").body == b"no session"
    assert Answer(guarded, "GET", "/health/x").status == 401


@pytest.mark.parametrize(
    ("path", "member"),
    [("/.well-known/oauth-protected-resource/mcp", "resource"), (METADATA, "issuer")],
)
def test_a_wsgi_guard_serves_discovery(guarded, path, member):
    answer = Answer(guarded, "GET", path)
    assert answer.status == 200
    assert f'"{member}"' in answer.body.decode()
