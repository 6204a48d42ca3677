"""The doctor finds each fault of a server, and none at a healthy server.

The server is in this process; only the redirect to the doctor's own address goes over TCP.
"""

from collections.abc import Callable
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grantledger.adapters.doctor.catalogue import AREAS, Severity
from grantledger.adapters.doctor.examination import Unreachable, examine
from grantledger.adapters.doctor.http import MAX_RESPONSE, Http, addresses_of
from grantledger.adapters.doctor.report import Report
from grantledger.entrypoints.doctor_run import lines_of
from support.healthy_server import MCP, ORIGIN, USER, HealthyServer, Request, Response
from support.timeouts import TIMEOUT

PATH = "/.well-known/oauth-protected-resource/mcp"
ROOT = "/.well-known/oauth-protected-resource"
OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"

Fault = Callable[[HealthyServer], object]


async def examined(server: HealthyServer, *, url: str = MCP, active: bool = False) -> Report:
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=server)) as client,
        httpx2.AsyncClient(trust_env=False, verify=False, timeout=TIMEOUT) as browser,
    ):

        async def signs_in(address: str) -> None:
            answer = await client.get(address, headers={USER: "ada"})
            if "location" in answer.headers:
                await browser.get(answer.headers["location"])

        return await examine(url, Http(client, resolve=no_address), signs_in if active else None)


async def no_address(_: str) -> list[str]:
    """Resolve no name, so that no test uses the network."""
    return []


def found(report: Report) -> set[str]:
    return {finding.check.id for finding in report.findings if finding.severity is not Severity.OK}


# Ways to make a server faulty


def answering(method: str, path: str, **changes: Any) -> Fault:
    """Change the response to these requests: its status, body or headers. None removes a header."""

    def rewrite(response: Response) -> None:
        headers = {name.replace("_", "-"): value for name, value in changes.items()}
        response.status = headers.pop("status", response.status)
        response.body = headers.pop("body", response.body)
        response.headers |= {name: value for name, value in headers.items() if value is not None}
        for name in [name for name, value in headers.items() if value is None]:
            response.headers.pop(name, None)

    return lambda server: server.rewrites.append((method, path, rewrite))


def adding(method: str, path: str, **members: Any) -> Fault:
    """Change members of the JSON object in the response. `...` removes one."""

    def rewrite(response: Response) -> None:
        if response.status < 300:
            body = {**msgspec.json.decode(response.body), **members}
            kept = {name: value for name, value in body.items() if value is not ...}
            response.body = msgspec.json.encode(kept)

    return lambda server: server.rewrites.append((method, path, rewrite))


def challenging(challenge: str) -> Fault:
    def rewrite(response: Response) -> None:
        if response.status == 401 and "invalid_token" not in response.headers["www-authenticate"]:
            response.headers["www-authenticate"] = challenge

    return lambda server: server.rewrites.append(("POST", "/mcp", rewrite))


def metadata(**members: Any) -> Fault:
    return lambda server: server.metadata.update(members)


def resource(**members: Any) -> Fault:
    return lambda server: server.resource.update(members)


def breaking(*rules: str) -> Fault:
    return lambda server: server.broken.update(rules)


def both(*faults: Fault) -> Fault:
    return lambda server: [fault(server) for fault in faults]


def without_registration(server: HealthyServer) -> None:
    del server.metadata["registration_endpoint"]
    server.metadata["client_id_metadata_document_supported"] = False


def other_openid(server: HealthyServer) -> None:
    server.openid = {**server.metadata, "token_endpoint": f"{ORIGIN}/revoke"}


FULL = f'Bearer scope="todo", resource_metadata="{ORIGIN}{PATH}"'

PASSIVE: dict[str, tuple[Fault, set[str]]] = {
    "no guard": (answering("POST", "/mcp", status=200, www_authenticate=None), {"challenge", "bad-token"}),
    "a 401 without a challenge": (
        answering("POST", "/mcp", www_authenticate=None),
        {"challenge", "bad-token-error"},
    ),
    "a parameter twice": (challenging(f'{FULL}, scope="todo"'), {"challenge-one-line"}),
    "a parameter without quotation marks": (
        challenging(FULL.replace('"todo"', "todo")),
        {"challenge-one-line"},
    ),
    "no resource_metadata": (challenging('Bearer scope="todo"'), {"challenge-metadata"}),
    "no scope": (challenging(FULL.replace('scope="todo", ', "")), {"challenge-scope"}),
    "an error without a token": (challenging(f'{FULL}, error="invalid_request"'), {"challenge-error"}),
    "offline_access in the challenge": (
        challenging(FULL.replace("todo", "todo offline_access")),
        {"offline-access"},
    ),
    "another challenge for a bad token": (
        answering("POST", "/mcp", www_authenticate=FULL),
        {"bad-token-error"},
    ),
    "GET without a guard": (answering("GET", "/mcp", status=200), {"unguarded-method", "head"}),
    "HEAD that is not supported": (answering("HEAD", "/mcp", status=405), {"head"}),
    "no guard at the path with a slash": (answering("POST", "/mcp/", status=200), {"unguarded-method"}),
    "a redirect to another origin at the path with a slash": (
        answering("POST", "/mcp/", status=307, location="http://internal.example/mcp"),
        {"slash"},
    ),
    "no metadata of the resource": (
        both(answering("GET", PATH, status=404), answering("GET", ROOT, status=404)),
        {
            "resource-metadata",
            "resource-metadata-path",
            "resource-metadata-root",
            "discovery",
            "old-discovery",
        },
    ),
    "no metadata at the root": (answering("GET", ROOT, status=404), {"resource-metadata-root"}),
    "no metadata at the path": (
        both(answering("GET", PATH, status=404), challenging(FULL.replace("/mcp", ""))),
        {"resource-metadata-path"},
    ),
    "the origin as the resource": (
        resource(resource=ORIGIN),
        {"resource-identifier", "discovery", "resource-listed"},
    ),
    "a slash after the resource": (
        resource(resource=f"{MCP}/"),
        {"resource-identifier", "discovery", "resource-listed"},
    ),
    "no authorization server": (resource(authorization_servers=[]), {"authorization-servers"}),
    "two authorization servers": (
        resource(authorization_servers=[ORIGIN, "https://b.example"]),
        {"several-servers"},
    ),
    "offline_access at the resource": (
        resource(scopes_supported=["todo", "offline_access"]),
        {"offline-access"},
    ),
    "no metadata of the server": (
        both(answering("GET", OAUTH, status=404), answering("GET", OPENID, status=404)),
        {"server-metadata", "discovery", "old-discovery"},
    ),
    "OpenID Connect metadata only": (answering("GET", OAUTH, status=404), {"old-discovery"}),
    "a page for each path": (
        answering("GET", OPENID, body=b"<html>", content_type="text/html"),
        {"well-known-answer"},
    ),
    "an error at a well-known path": (answering("GET", OPENID, status=500), {"well-known-answer"}),
    "a redirect at a well-known path": (
        answering("GET", OPENID, status=302, location="/"),
        {"well-known-answer"},
    ),
    "a slash after the issuer": (metadata(issuer=f"{ORIGIN}/"), {"issuer", "discovery"}),
    "a resource that the issuer does not list": (
        metadata(protected_resources=["https://other.example/mcp"]),
        {"resource-listed"},
    ),
    "no PKCE in the metadata": (
        metadata(code_challenge_methods_supported=None),
        {"pkce-advertised", "discovery"},
    ),
    "plain PKCE": (metadata(code_challenge_methods_supported=["plain", "S256"]), {"pkce-plain"}),
    "no token endpoint": (metadata(token_endpoint=None), {"endpoints"}),
    "an endpoint without TLS": (metadata(end_session_endpoint="http://auth.example/end"), {"endpoints"}),
    "an endpoint that does not exist": (
        metadata(userinfo_endpoint=f"{ORIGIN}/userinfo"),
        {"endpoint-answers"},
    ),
    "no keys": (answering("GET", "/jwks", body=b"{}"), {"endpoint-answers"}),
    "documents that differ": (other_openid, {"documents-agree"}),
    "the algorithm none": (metadata(id_token_signing_alg_values_supported=["none"]), {"algorithm-none"}),
    "the password grant": (metadata(grant_types_supported=["password"]), {"obsolete-grants"}),
    "no registration": (without_registration, {"way-to-register", "cimd"}),
    "no client id metadata documents": (metadata(client_id_metadata_document_supported=False), {"cimd"}),
    "no public clients": (
        metadata(token_endpoint_auth_methods_supported=["client_secret_post"]),
        {"auth-method-none"},
    ),
    "no iss": (metadata(authorization_response_iss_parameter_supported=False), {"iss-advertised"}),
    "no revocation": (metadata(revocation_endpoint=None), {"revocation-advertised"}),
    "a guard before OPTIONS": (answering("OPTIONS", "/mcp", status=401), {"mcp-preflight"}),
    "a star that does not cover Authorization": (
        answering("OPTIONS", "/mcp", access_control_allow_headers="*"),
        {"mcp-preflight"},
    ),
    "a challenge that scripts cannot read": (
        answering("POST", "/mcp", access_control_expose_headers=None),
        {"challenge-readable"},
    ),
    "metadata that scripts cannot read": (
        answering("GET", PATH, access_control_allow_origin=None),
        {"metadata-cors"},
    ),
    "metadata without preflight": (answering("OPTIONS", OAUTH, status=404), {"metadata-cors"}),
    "tokens without preflight": (answering("OPTIONS", "/token", status=404), {"token-cors"}),
    "errors that scripts cannot read": (
        answering("POST", "/token", access_control_allow_origin=None),
        {"token-cors"},
    ),
    "CORS at the authorization endpoint": (
        answering("GET", "/authorize", access_control_allow_origin="*"),
        {"authorize-cors"},
    ),
    "no HEAD for metadata": (answering("HEAD", OAUTH, status=405), {"metadata-head"}),
    "an open redirect": (
        answering("GET", "/authorize", status=302, location="https://grantledger-doctor.invalid/callback"),
        {"open-redirect"},
    ),
    "a sign-in before the request is checked": (breaking("late"), {"checked-first"}),
    "an error in JSON": (answering("GET", "/authorize", content_type="application/json"), {"error-page"}),
    "a number as the PKCE methods": (
        metadata(code_challenge_methods_supported=5),
        {"pkce-advertised", "discovery"},
    ),
    "no list of authentication methods": (
        metadata(token_endpoint_auth_methods_supported=None),
        {"auth-method-none"},
    ),
    "no list of grant types": (metadata(grant_types_supported=None), {"obsolete-grants"}),
    "a malformed authorization server": (
        resource(authorization_servers=["https://[bad"]),
        {"authorization-servers", "discovery", "old-discovery"},
    ),
    "a malformed resource": (
        resource(resource="https://[bad"),
        {"resource-identifier", "discovery", "old-discovery", "resource-listed"},
    ),
    "a malformed token endpoint": (metadata(token_endpoint="https://[bad"), {"endpoints"}),
    "a malformed endpoint that is optional": (
        metadata(introspection_endpoint="https://[bad"),
        {"endpoints"},
    ),
    "a malformed redirect": (
        answering("GET", OPENID, status=302, location="https://[bad"),
        {"well-known-answer"},
    ),
    "metadata that is nested too deeply": (
        answering("GET", OPENID, body=b'{"a":' + b"[" * 100_000),
        {"well-known-answer"},
    ),
    "a cookie that scripts can read": (
        answering("GET", "/authorize", set_cookie="request=1; Path=/"),
        {"cookies"},
    ),
    "invalid_grant for an unknown client": (
        answering("POST", "/token", status=400, body=b'{"error":"invalid_grant"}'),
        {"unknown-client"},
    ),
}

ACTIVE: dict[str, tuple[Fault, set[str]]] = {
    "200 for a registration": (breaking("created"), {"registration-response"}),
    "empty members": (adding("POST", "/register", client_uri=""), {"registration-response"}),
    "a secret without its expiry": (
        adding("POST", "/register", client_secret="s", client_secret_expires_at=...),
        {"registration-response"},
    ),
    "a redirect URI that runs scripts": (breaking("scripts"), {"registration-redirect"}),
    "a refusal in another format": (breaking("form"), {"registration-error"}),
    "loopback with one port only": (breaking("port"), {"loopback-port"}),
    "a page in a frame": (answering("GET", "/authorize", content_security_policy=None), {"framing"}),
    "loopback with one port only, checked after the sign-in": (
        breaking("port", "late"),
        {"loopback-port", "checked-first", "prompt-none"},
    ),
    "no HEAD for the authorization endpoint": (
        answering("HEAD", "/authorize", status=405),
        {"authorize-head"},
    ),
    "a sign-in for prompt=none": (breaking("none"), {"prompt-none"}),
    "a refresh that is refused": (breaking("refresh"), {"refresh-works"}),
    "credentials in the body only": (breaking("basic"), {"basic-header"}),
    "an optional code challenge": (breaking("challenge"), {"pkce-required"}),
    "an optional code challenge, checked after the sign-in": (
        breaking("challenge", "late"),
        {"pkce-required", "checked-first", "prompt-none"},
    ),
    "errors without state": (breaking("state of errors"), {"error-response"}),
    "errors without iss, after the sign-in": (
        breaking("iss of errors", "late"),
        {"error-response", "checked-first", "prompt-none"},
    ),
    "a valid request that is refused": (
        answering("GET", "/authorize", status=400),
        {"authorization-response"},
    ),
    "codes without state": (breaking("state"), {"error-response", "authorization-response"}),
    "codes without iss": (breaking("iss"), {"error-response", "authorization-response"}),
    "a wrong verifier that is accepted": (breaking("verifier"), {"verifier"}),
    "a token of another type": (adding("POST", "/token", token_type="mac"), {"token-response"}),
    "a lifetime as a string": (adding("POST", "/token", expires_in="3600"), {"token-response"}),
    "tokens that caches may keep": (answering("POST", "/token", cache_control=None), {"token-no-store"}),
    "no refresh token": (adding("POST", "/token", refresh_token=...), {"refresh-token"}),
    "an ID token that is no JWT": (adding("POST", "/token", id_token="e30.e30."), {"id-token"}),
    "an ID token, and keys that are no list": (
        answering("GET", "/jwks", body=b'{"keys":5}'),
        {"endpoint-answers", "id-token"},
    ),
    "an ID token, and no published keys": (
        answering("GET", "/jwks", body=b'{"a":1}'),
        {"endpoint-answers", "id-token"},
    ),
    "a token for another audience": (breaking("audience"), {"token-accepted"}),
    "a token in the query": (breaking("query"), {"token-in-query"}),
    "a code that is redeemed twice": (breaking("replay"), {"double-spend", "replay"}),
    "a replay without consequences": (breaking("keeps"), {"replay-revokes"}),
    "a refresh token that is never replaced": (breaking("static"), {"refresh-rotates"}),
    "one success of four parallel refreshes": (breaking("strict"), {"refresh-race"}),
    "parallel refreshes that end the grant": (breaking("fatal"), {"refresh-race", "refresh-race-fatal"}),
    "a second series of tokens": (breaking("forks"), {"refresh-forks"}),
    "a revocation that demands a secret": (breaking("secret"), {"revocation-public"}),
    "an error for an unknown token": (breaking("unknown"), {"revocation-unknown"}),
    "a revocation without effect": (breaking("revocation"), {"revocation-ends", "revocation-access"}),
    "a wrong error code for a revoked token": (breaking("dead"), {"revocation-ends"}),
    "an access token that stays valid": (breaking("access"), {"revocation-access"}),
    "a code that a wrong verifier uses up": (breaking("burns codes"), set()),
}


def refusing(word: str) -> Fault:
    """Refuse each registration whose request has this word."""

    def apply(server: HealthyServer) -> None:
        register = server.response

        def response(request: Request) -> Response:
            if request.path == "/register" and word in request.body.decode():
                return Response(
                    400, {"content-type": "application/json"}, b'{"error":"invalid_client_metadata"}'
                )
            return register(request)

        server.response = response  # type: ignore[method-assign]

    return apply


REFUSED: dict[str, tuple[Fault, set[str]]] = {
    "public clients": (refusing("native"), {"registration"}),
    "the URI schemes of editors": (refusing("cursor://"), {"registration-editor"}),
    "clients with a secret": (refusing("client_secret_post"), {"registration-secret"}),
    "unknown scopes": (refusing("openid email profile"), {"registration-scope"}),
}


@pytest.mark.parametrize("refused", REFUSED)
async def test_a_refused_registration_is_found(refused: str):
    server = HealthyServer()
    refuse, expected = REFUSED[refused]
    refuse(server)
    assert found(await examined(server, active=True)) == expected


@pytest.mark.parametrize("fault", PASSIVE)
async def test_each_fault_is_found_without_a_change_at_the_server(fault: str):
    server = HealthyServer()
    break_it, expected = PASSIVE[fault]
    break_it(server)
    assert found(await examined(server)) == expected
    assert not server.clients


@pytest.mark.parametrize("fault", ACTIVE)
async def test_each_fault_is_found_with_a_sign_in(fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "grantledger.adapters.doctor.sign_in.SHORT_TIMEOUT", 0.01
    )  # so that responses that never come cost no time
    server = HealthyServer()
    break_it, expected = ACTIVE[fault]
    break_it(server)
    assert found(await examined(server, active=True)) == expected


@pytest.mark.parametrize("url", [MCP, ORIGIN])
@pytest.mark.parametrize("active", [False, True])
async def test_a_healthy_server_has_no_finding(url: str, active: bool):
    report = await examined(HealthyServer(), url=url, active=active)
    assert found(report) == set()
    assert not report.unfinished


async def test_every_check_is_made_at_a_healthy_server():
    report = await examined(HealthyServer(), active=True)
    made = {finding.check.id for finding in report.findings}
    assert made == {check.id for area in AREAS for check in area.checks}


def test_every_check_can_fail():
    covered = set().union(*(expected for _, expected in (PASSIVE | ACTIVE | REFUSED).values()))
    assert covered | {"https"} == {check.id for area in AREAS for check in area.checks}


async def test_an_mcp_server_without_tls_is_found():
    assert "https" in found(await examined(HealthyServer(), url="http://mcp.example/mcp"))


async def test_cookies_are_sent_only_with_requests_for_pages():
    """A server may treat a request with a cookie as one from a browser, and refuse it for other reasons."""
    server = HealthyServer()
    requests = requests_of(server)
    await examined(server, active=True)
    assert {request.path for request in requests if "cookie" in request.headers} <= {"/authorize"}


# Tokens and codes of others

OTHER = "https://victim.example/mcp"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (resource(resource=OTHER), f"the resource '{OTHER}' does not cover {MCP}"),
        (resource(resource=f"{MCP}/admin"), f"the resource '{MCP}/admin' does not cover {MCP}"),
        (metadata(issuer="https://honest.example"), "is of the issuer 'https://honest.example'"),
    ],
    ids=["another origin", "another path", "another issuer"],
)
async def test_no_sign_in_starts_for_a_server_that_poses_as_another(fault: Fault, reason: str):
    server = HealthyServer()
    fault(server)
    requests = requests_of(server)
    report = await examined(server, active=True)
    assert reason in report.unfinished
    assert not [request for request in requests if (request.method, request.path) == ("POST", "/register")]


def other_iss(response: Response) -> None:
    if "location" in response.headers:
        location = response.headers["location"]
        response.headers["location"] = f"{location.partition('&iss=')[0]}&iss=https%3A%2F%2Fhonest.example"


def no_iss(response: Response) -> None:
    if "location" in response.headers:
        response.headers["location"] = response.headers["location"].partition("&iss=")[0]


@pytest.mark.parametrize("change", [other_iss, no_iss])
@pytest.mark.parametrize("honest", [0, 1])
async def test_a_code_of_another_issuer_is_not_redeemed(change: Callable[[Response], None], honest: int):
    """The first `honest` codes come from the issuer itself."""
    server = HealthyServer()
    breaking("late", "challenge")(server)
    right: list[str] = []

    def rewrite(response: Response) -> None:
        if len(server.codes) > honest:
            change(response)
        else:
            right[:] = server.codes

    server.rewrites.append(("GET", "/authorize", rewrite))
    requests = requests_of(server)
    await examined(server, active=True)
    sent = {request.form.get("code") for request in requests if request.path == "/token"}
    assert len(server.codes) > honest
    assert sent & set(server.codes) == set(right)


def requests_of(server: HealthyServer) -> list[Request]:
    """Return a list to which each request is added."""
    respond, requests = server.response, list[Request]()

    def response(request: Request) -> Response:
        requests.append(request)
        return respond(request)

    server.response = response  # type: ignore[method-assign]
    return requests


# What is left behind


async def test_all_that_was_created_is_gone_afterwards():
    server = HealthyServer()
    report = await examined(server, active=True)
    assert (server.clients, server.generations, report.left_behind) == ({}, {}, [])


async def test_what_cannot_be_removed_is_named():
    server = HealthyServer()
    del server.metadata["revocation_endpoint"]
    adding("POST", "/register", registration_client_uri=...)(server)
    tokens, clients = (await examined(server, active=True)).left_behind
    assert "the server has no revocation endpoint" in tokens
    assert "5 registered clients named 'grantledger doctor'" in clients


async def test_an_interrupted_examination_removes_what_it_created():
    server = HealthyServer()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=server)) as client:

        async def interrupts(_: str) -> None:
            assert server.clients
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await examine(MCP, Http(client), interrupts)
    assert not server.clients


async def test_a_user_who_does_not_sign_in_ends_the_examination(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("grantledger.adapters.doctor.sign_in.SIGN_IN_TIMEOUT", 0.01)
    server = HealthyServer()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=server)) as client:

        async def closes_the_page(_: str) -> None:
            return

        report = await examine(MCP, Http(client), closes_the_page)
    assert "no response came from the browser" in report.unfinished
    assert not server.clients


async def test_the_number_of_requests_has_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("grantledger.adapters.doctor.http.MAX_REQUESTS", 45)
    server = HealthyServer()
    report = await examined(server, active=True)
    assert "45 requests" in report.unfinished
    assert not server.clients


# What the examined servers can cause


HOSTS = {
    "mcp.example": ["93.184.215.14"],
    "auth.example": ["93.184.215.15", "2606:2800:21f:cb07::1"],
    "half.example": ["93.184.215.16", "10.0.0.1"],
    "lan.example": ["fe80::1%eth0"],
    "here.example": ["::ffff:127.0.0.1"],
    "mcp": ["172.18.0.2"],
    "auth": ["172.18.0.3"],
}


async def resolve(host: str) -> list[str]:
    return HOSTS.get(host, [])


async def asked_at(url: str, named: str) -> int:
    """Return whether the doctor, which examines `url`, sends a request to a URL that its server names."""
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(204))) as client:
        http = Http(client, resolve=resolve)
        http.examines(url)
        return (await http.send("POST", named)).status


@pytest.mark.parametrize(
    "named",
    [
        "127.0.0.1/admin",
        "127.0.0.2",
        "0.0.0.0:8443",
        "[::]",
        "[::ffff:127.0.0.1]",
        "127.1",
        "localhost",
        "localhost.",
        "foo.localhost",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254/latest/meta-data",
        "[fd00::1]",
        "lan.example",
        "here.example",
        "half.example",
        "[bad",
    ],
)
async def test_a_public_server_cannot_send_requests_to_a_private_network(named: str):
    for scheme in ("https", "http"):
        assert await asked_at("https://mcp.example/mcp", f"{scheme}://{named}") == 0
        assert await asked_at("http://mcp.example/mcp", f"{scheme}://{named}") == 0


@pytest.mark.parametrize("named", ["http://auth.example/", "ftp://auth.example", "https://a:b@auth.example"])
async def test_a_public_server_cannot_send_requests_to_a_less_safe_url(named: str):
    assert await asked_at("https://mcp.example/mcp", named) == 0


async def test_a_server_of_a_private_network_cannot_send_requests_to_this_machine():
    assert await asked_at("http://10.0.0.1/mcp", "http://127.0.0.1:8000/token") == 0


async def test_names_are_resolved_by_the_resolver_of_this_machine():
    assert set(await addresses_of("localhost")) <= {"127.0.0.1", "::1"}
    assert set(await addresses_of("127.0.0.1")) == {"127.0.0.1"}
    assert await addresses_of("a" * 64) == []  # longer than a name may be


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://mcp.example/mcp", "https://auth.example/token"),
        ("https://mcp.example/mcp", "https://unknown.example/token"),
        ("http://127.0.0.1:8000/mcp", "http://localhost:9000/token"),
        ("http://10.0.0.1/mcp", "http://10.0.0.2/token"),
        ("http://mcp:8000/mcp", "http://auth:8000/token"),
    ],
)
async def test_a_server_may_name_another_one_that_is_as_public(url: str, named: str):
    assert await asked_at(url, named) == 204


NASTY = ["https://[bad", "http://a:b@c/", "https://a\x1b[2J/", "//", "", f"{ORIGIN}/x?y", "1" * 3_000]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 10**18) | st.text(max_size=8) | st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
MEMBERS = {
    "resource": [*HealthyServer().resource],
    "metadata": [*HealthyServer().metadata, "userinfo_endpoint"],
    "/register": ["client_id", "client_secret", "redirect_uris", "registration_client_uri"],
    "/token": ["access_token", "refresh_token", "token_type", "expires_in", "id_token"],
    "/jwks": ["keys"],
}
CHANGES = st.tuples(
    st.sampled_from([(document, name) for document, names in MEMBERS.items() for name in names]), VALUES
)


@given(st.lists(CHANGES, min_size=1, max_size=4))
@settings(max_examples=10)
async def test_no_metadata_makes_the_examination_fail(changes: list[tuple[tuple[str, str], Any]]):
    server = HealthyServer()
    for (document, name), value in changes:
        if document.startswith("/"):
            adding("GET" if document == "/jwks" else "POST", document, **{name: value})(server)
        else:
            getattr(server, document)[name] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grantledger.adapters.doctor.sign_in.SIGN_IN_TIMEOUT", 0.01)
        patch.setattr("grantledger.adapters.doctor.sign_in.SHORT_TIMEOUT", 0.01)
        report = await examined(server, active=True)
    assert list(lines_of(report, width=80))


async def test_a_long_response_is_read_in_part():
    body = b"{" + b" " * MAX_RESPONSE + b"}"
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body))
    async with httpx2.AsyncClient(transport=transport) as client:
        http = Http(client)
        http.examines(MCP)
        answer = await http.send("GET", MCP)
    assert len(answer.body) == MAX_RESPONSE
    assert answer.json is None


# Secrets


@pytest.mark.parametrize("active", [False, True])
async def test_no_report_holds_a_token_or_a_code(active: bool):
    server = HealthyServer()
    breaking("verifier", "replay", "query", "forks", "access", "late", "challenge", "state")(server)
    report = await examined(server, active=active)
    shown = msgspec.json.encode([finding.record() for finding in report.findings]).decode()
    secrets = [*server.codes, *server.revoked, *server.generations]
    assert bool(secrets) == active
    assert not [secret for secret in secrets if secret in shown]


async def test_without_an_answer_there_is_no_report():
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(_nothing))
    with pytest.raises(Unreachable, match="ConnectError"):
        await examine(MCP, Http(client))


def _nothing(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused")
