"""`McpAuthClient`: what it asks, what it keeps, and what it answers in an outage."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from grantledger.adapters.guards import issuer as issuer_module
from grantledger.adapters.guards import token_cache
from grantledger.adapters.guards.client import McpAuthClient
from grantledger.application.ports import Unavailable
from grantledger.application.tokens.mcp_session import SessionUser
from support.guarding import GuardedApp, calling
from support.issuer import INTROSPECTION, ISSUER, METADATA, RESOURCE, SECRET, SESSION, FakeIssuer
from support.timeouts import TIMEOUT

Make = Callable[..., McpAuthClient]

OPENID = "/.well-known/openid-configuration"

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch) -> None:
    """Make these times so long that none ends during a slow test. Tests about them set shorter ones."""
    monkeypatch.setattr(token_cache, "REFUSED_FOR", 3_600)
    monkeypatch.setattr(issuer_module, "RETRY_IN", 3_600)
    monkeypatch.setattr(issuer_module, "TIMEOUT", TIMEOUT)


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture(params=["session", "introspection"])
def way(request) -> str:
    return str(request.param)


@pytest.fixture
def make(issuer) -> Make:
    def make(way: str = "session", **options: Any) -> McpAuthClient:
        if way == "introspection":
            options = {"client_id": "notes", "client_secret": SECRET, **options}
        given = {"issuer": ISSUER, "resource": RESOURCE, "verify": way, "http": issuer.http()}
        return McpAuthClient(**{"cache_seconds": 3_600, **given, **options})

    return make


def look_ups(issuer: FakeIssuer) -> int:
    return len([path for path in issuer.paths() if path in ("/session", "/introspect")])


# The session


async def test_a_session_has_what_the_issuer_says(make, way):
    session = await make(way).verify_token("good")
    assert session.access_token == "good"
    assert session.expires_at == 4_000_000_000
    assert (session.user_id, session.client_id, session.subject_type) == ("glu_ann", "glc_editor", "user")
    assert session.user == SessionUser(email="ann@example.com", email_verified=False)
    assert session.scopes == ("openid", "email", "notes:read")
    assert session.resource == RESOURCE
    assert (session.roles, session.permissions) == ((), ())
    assert session.grant_id == "grant"
    assert [name for name in dir(session) if "refresh" in name] == []
    for name in ("iss", "sub", "aud", "client_id", "scope", "exp"):
        assert name in session.claims
    assert session.claims["iss"] == ISSUER


async def test_roles_and_permissions_are_those_that_the_issuer_names(make, issuer, way):
    named = {"roles": ["admin", "editor"], "permissions": ["notes:ban"]}
    issuer.answers["/introspect"], issuer.answers["/session"] = INTROSPECTION | named, SESSION | named
    session = await make(way).verify_token("good")
    assert (session.roles, session.permissions) == (("admin", "editor"), ("notes:ban",))


@pytest.mark.parametrize("roles", ["admin", {"admin": True}, [{"value": "admin"}], ["admin", 1], None])
async def test_a_claim_that_is_no_list_of_strings_gives_no_roles(make, issuer, roles):
    """Fails if the letters of a string count as roles, or a claim in another form allows anything."""
    issuer.answers["/introspect"] = INTROSPECTION | {"roles": roles}
    assert (await make("introspection").verify_token("good")).roles == ()


@pytest.mark.parametrize("members", [{"sub": "glc_editor"}, {"sub": None}])
async def test_a_token_without_a_user_belongs_to_a_machine(make, issuer, members):
    said = {name: value for name, value in (INTROSPECTION | members).items() if value is not None}
    issuer.answers["/introspect"] = said
    issuer.answers["/session"] = SESSION | {"user_id": None, "subject_type": "machine"}
    for way in ("session", "introspection"):
        session = await make(way).verify_token("good")
        assert (session.user_id, session.subject_type) == (None, "machine")


async def test_personal_data_without_its_scope_is_left_out(make, issuer):
    issuer.answers["/introspect"] = INTROSPECTION | {"scope": "openid", "name": "Ann"}
    assert (await make("introspection").verify_token("good")).user is None


async def test_asks_with_the_token_and_for_its_own_resource(make, issuer):
    await make().verify_token("good")
    (request,) = issuer.asked
    assert str(request.url) == "https://auth.example/session?resource=https%3A%2F%2Fmcp.example%2Fmcp"
    assert request.headers["authorization"] == "Bearer good"


async def test_introspects_with_its_own_credentials(make, issuer):
    await make("introspection", client_id="a:b", client_secret="ü c").verify_token("good")
    request = issuer.asked[-1]
    assert (request.method, request.content) == ("POST", b"token=good&token_type_hint=access_token")
    # RFC 6749 section 2.3.1: encoded as in a form, first
    expected = base64.b64encode(b"a%3Ab:%C3%BC+c").decode()
    assert request.headers["authorization"] == f"Basic {expected}"


async def test_the_endpoint_of_an_issuer_with_a_path_is_below_that_path(make, issuer):
    issuer.answers["/tenant/session"] = SESSION
    assert await make(issuer="https://auth.example/tenant").verify_token("good") is not None
    assert issuer.paths() == ["/tenant/session"]


@pytest.mark.parametrize(
    "path", ["/.well-known/oauth-authorization-server/tenant", "/tenant/.well-known/openid-configuration"]
)
async def test_the_metadata_of_an_issuer_with_a_path_is_found_at_both_urls(make, issuer, path):
    """RFC 8414 section 3.1 inserts before the path; OpenID Connect Discovery section 4.1 appends to it."""
    tenant = "https://auth.example/tenant"
    issuer.answers[path] = {"issuer": tenant, "introspection_endpoint": f"{tenant}/introspect"}
    issuer.answers["/tenant/introspect"] = INTROSPECTION | {"iss": tenant}
    assert await make("introspection", issuer=tenant).verify_token("good") is not None
    assert issuer.paths()[-2:] == [path, "/tenant/introspect"]


# A token that is refused


async def test_a_token_that_the_issuer_refuses_has_no_session(make, way):
    assert await make(way).verify_token("bad") is None


@pytest.mark.parametrize("token", ["", "a b", "gööd", "good\n", "a=b", "x" * 8_193, '"'])
async def test_a_malformed_token_is_refused_without_a_request(make, issuer, token):
    assert await make().verify_token(token) is None
    assert issuer.asked == []


@pytest.mark.parametrize("other", ["https://other.example/mcp", "https://mcp.example", f"{RESOURCE}/"])
async def test_a_token_for_another_audience_is_refused_whatever_the_issuer_answers(make, issuer, way, other):
    issuer.answers["/session"] = SESSION | {"resource": other}
    issuer.answers["/introspect"] = INTROSPECTION | {"aud": other}
    assert await make(way).verify_token("good") is None


@pytest.mark.parametrize("audience", [None, [], ["https://other.example/mcp"], 7, [7]])
async def test_an_introspection_that_does_not_name_this_audience_is_refused(make, issuer, audience):
    """Fails if a missing audience counts as every audience."""
    issuer.answers["/introspect"] = INTROSPECTION | {"aud": audience}
    assert await make("introspection").verify_token("good") is None


@pytest.mark.parametrize("audience", [[RESOURCE], ["https://x.example", RESOURCE], "HTTPS://mcp.example/mcp"])
async def test_an_introspection_that_names_this_audience_among_others_passes(make, issuer, audience):
    issuer.answers["/introspect"] = INTROSPECTION | {"aud": audience}
    assert await make("introspection").verify_token("good") is not None


@pytest.mark.parametrize(
    "members",
    [
        {"active": False},
        {"iss": "https://other.example"},
        {"exp": 1_000},
        {"exp": None},
        {"exp": True},
        {"exp": "4000000000"},
        {"client_id": None},
        {"token_type": "refresh_token"},
        {"token_type": "DPoP"},
        {"token_use": "refresh_token"},
        {"token_use": "id"},
        {"token_use": ["access_token"]},
        {"typ": "Refresh"},
        {"typ": "Offline"},
        {"typ": "ID"},
        {"scope": 7},
        {"nbf": 4_000_000_000},
        {"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}},
    ],
)
async def test_an_introspection_that_lacks_what_a_session_needs_is_refused(make, issuer, members):
    issuer.answers["/introspect"] = INTROSPECTION | members
    assert await make("introspection").verify_token("good") is None


@pytest.mark.parametrize(
    "members",
    [
        {"token_use": "access_token"},
        {"token_use": "access"},
        {"typ": "Bearer"},
        {"typ": "at+jwt"},
        {"token_use": None, "typ": None},
    ],
)
async def test_the_word_of_each_vendor_for_an_access_token_passes(make, issuer, members):
    issuer.answers["/introspect"] = INTROSPECTION | members
    assert await make("introspection").verify_token("good") is not None


# What is kept


async def test_a_session_is_kept_so_that_the_issuer_is_asked_once(make, issuer, way):
    client = make(way)
    first = await client.verify_token("good")
    assert await client.verify_token("good") == first
    assert look_ups(issuer) == 1


async def test_a_revocation_is_seen_within_cache_seconds(make, issuer, way):
    client = make(way, cache_seconds=0.05)
    assert await client.verify_token("good") is not None
    issuer.answers["/session"] = httpx2.Response(401, json={"error": "invalid_token"})
    issuer.answers["/introspect"] = {"active": False}
    await asyncio.sleep(0.06)
    assert await client.verify_token("good") is None


async def test_without_cache_seconds_every_request_asks(make, issuer, way):
    client = make(way, cache_seconds=0)
    await asyncio.gather(*(client.verify_token("good") for _ in range(3)))
    assert look_ups(issuer) == 3


async def test_parallel_requests_with_one_token_ask_once(make, issuer, way):
    client = make(way)
    issuer.delay = lambda: asyncio.sleep(0.01)
    sessions = await asyncio.gather(*(client.verify_token("good") for _ in range(20)))
    assert {session.user_id for session in sessions} == {"glu_ann"}
    assert look_ups(issuer) == 1


async def test_a_request_that_is_cancelled_does_not_stop_those_that_share_it(make, issuer):
    client = make()
    issuer.delay = lambda: asyncio.sleep(0.02)
    first, second = (asyncio.create_task(client.verify_token("good")) for _ in range(2))
    await asyncio.sleep(0.005)
    first.cancel()
    assert (await second).user_id == "glu_ann"
    assert look_ups(issuer) == 1


async def test_a_refused_token_is_kept_briefly_too(make, issuer, way):
    client = make(way)
    assert [await client.verify_token("bad") for _ in range(3)] == [None] * 3
    assert look_ups(issuer) == 1


async def test_each_request_has_claims_of_its_own(make):
    """Code behind a guard may change the claims of its request, but not those of the next request."""
    client = make()
    first = await client.verify_token("good")
    first.claims["sub"] = "someone else"
    assert (await client.verify_token("good")).claims["sub"] == "glu_ann"


async def test_requests_do_not_share_nested_claims(make, issuer):
    issuer.answers["/introspect"] = INTROSPECTION | {"groups": [{"name": "staff"}]}
    client = make("introspection")
    for _ in range(2):
        session = await client.verify_token("good")
        assert session.claims["groups"] == [{"name": "staff"}]
        session.claims["groups"][0]["name"] = "admin"
        session.claims["groups"].append({"name": "root"})


# Outages


OUTAGES = {
    "no connection": httpx2.ConnectError("refused"),
    "a timeout": httpx2.ReadTimeout("slow"),
    "500": httpx2.Response(500, text="down"),
    "429": httpx2.Response(429),
    "404": httpx2.Response(404),
    "403": httpx2.Response(403, json={"error": "invalid_token"}),
    "a 401 of a proxy": httpx2.Response(401, html="<h1>Sign in</h1>"),
    "a redirect": httpx2.Response(302, headers={"location": "https://evil.example/"}),
    "a page": httpx2.Response(200, html="<h1>Hello</h1>"),
    "a list": httpx2.Response(200, json=[]),
    "no session": httpx2.Response(200, json={"hello": "world"}),
    "compressed": httpx2.Response(200, headers={"content-encoding": "gzip"}, content=b""),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_an_outage_is_never_a_refusal(make, issuer, way, outage):
    """Fails if clients discard their tokens in an outage: the tokens may be valid."""
    issuer.answers["/session"] = issuer.answers["/introspect"] = outage
    with pytest.raises(Unavailable):
        await make(way).verify_token("good")
    assert "evil.example" not in [request.url.host for request in issuer.asked]


async def test_a_response_that_is_too_long_is_not_read(make, issuer, monkeypatch):
    monkeypatch.setattr(issuer_module, "MAX_RESPONSE", 100)
    with pytest.raises(Unavailable, match="longer than"):
        await make().verify_token("good")


async def test_a_response_that_never_ends_times_out(make, issuer, monkeypatch):
    monkeypatch.setattr(issuer_module, "TIMEOUT", 0.02)
    issuer.delay = lambda: asyncio.sleep(60)
    with pytest.raises(Unavailable):
        await make().verify_token("good")


async def test_an_outage_is_not_kept(make, issuer, way):
    client = make(way)
    before = issuer.answers["/session"], issuer.answers["/introspect"]
    issuer.answers["/session"] = issuer.answers["/introspect"] = OUTAGES["500"]
    with pytest.raises(Unavailable):
        await client.verify_token("good")
    issuer.answers["/session"], issuer.answers["/introspect"] = before
    assert await client.verify_token("good") is not None


async def test_a_session_in_the_cache_needs_no_issuer(make, issuer):
    client = make()
    await client.verify_token("good")
    issuer.answers["/session"] = OUTAGES["no connection"]
    assert await client.verify_token("good") is not None


async def test_the_log_of_an_outage_has_no_token(make, issuer, caplog):
    issuer.answers["/session"] = OUTAGES["no connection"]
    with caplog.at_level("DEBUG"), pytest.raises(Unavailable) as raised:
        await make().verify_token("secret-token")
    assert "secret-token" not in caplog.text + repr(raised.value) + repr(raised.value.__cause__)


@pytest.mark.parametrize("answer", [{"issuer": "https://evil.example"}, {"issuer": ISSUER}])
async def test_introspection_needs_the_metadata_of_this_issuer(make, issuer, answer):
    issuer.answers[METADATA] = answer
    with pytest.raises(Unavailable):
        await make("introspection").verify_token("good")
    assert look_ups(issuer) == 0


# The endpoints of the issuer


FOREIGN_ENDPOINTS = [
    "http://auth.example/introspect",
    "http://127.0.0.1/introspect",
    "http://localhost:8080/introspect",
    "https://localhost/introspect",
    "https://printer.localhost/introspect",
    "https://127.0.0.2/introspect",
    "https://[::1]/introspect",
    "https://[::ffff:10.0.0.1]/introspect",
    "https://10.0.0.1/introspect",
    "https://169.254.169.254/latest/meta-data",
    "https://0.0.0.0/introspect",
]


@pytest.mark.parametrize("endpoint", FOREIGN_ENDPOINTS)
async def test_endpoints_of_a_remote_issuer_must_be_public_and_https(make, issuer, endpoint):
    """An attacker who changes the metadata could make the guard call services that only it reaches."""
    issuer.answers[METADATA] = issuer.answers[METADATA] | {"introspection_endpoint": endpoint}
    with pytest.raises(Unavailable, match="introspection_endpoint"):
        await make("introspection").verify_token("good")
    assert issuer.paths() == [METADATA]


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9000", "http://localhost:9000", "https://10.0.0.5"])
async def test_an_issuer_on_a_private_network_may_have_its_endpoints_there(make, issuer, origin):
    issuer.answers[METADATA] = {"issuer": origin, "introspection_endpoint": f"{origin}/introspect"}
    issuer.answers["/introspect"] = INTROSPECTION | {"iss": origin}
    assert await make("introspection", issuer=origin).verify_token("good") is not None


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(400),
        httpx2.Response(401),
        httpx2.Response(403),
        httpx2.Response(405),
        httpx2.Response(302, headers={"location": "https://auth.example/login"}),
        httpx2.Response(200, html="<h1>Hello</h1>"),
        {"issuer": "https://other.example"},
    ],
    ids=str,
)
async def test_an_issuer_without_rfc_8414_is_found_by_openid_connect(make, issuer, answer):
    issuer.answers[OPENID] = issuer.answers[METADATA]
    issuer.answers[METADATA] = answer
    assert await make("introspection").verify_token("good") is not None


@pytest.mark.parametrize("answer", [httpx2.Response(503), httpx2.Response(429), httpx2.ConnectError("down")])
async def test_an_issuer_that_is_down_is_asked_for_one_document_only(make, issuer, answer):
    """A second request would double the time until the guard can answer 503."""
    issuer.answers[METADATA] = answer
    client = make("introspection")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await client.verify_token("good")
    assert issuer.paths() == [METADATA]


# The guards of the client


async def test_the_handler_guards_an_application(make):
    app = GuardedApp()
    guard = make(scopes=("notes:read",)).handler(app)
    assert (await calling(guard)).status == 401
    assert (await calling(guard, "POST", "Bearer bad")).status == 401
    assert (await calling(guard, "POST", "Bearer good")).status == 200
    assert [caller.user_id for caller in app.callers if caller] == ["glu_ann"]


async def test_the_handler_answers_503_in_an_outage(make, issuer):
    issuer.answers["/session"] = OUTAGES["no connection"]
    answer = await calling(make().handler(GuardedApp()), "POST", "Bearer good")
    assert answer.status == 503
    assert answer.value("retry-after") == "5"
    assert answer.value("www-authenticate") is None


async def test_middleware_is_made_for_each_application(make):
    middleware = make().middleware(required_scopes=("notes:write",), public=("/health",))
    guard = middleware(GuardedApp())
    assert (await calling(guard, "POST", "Bearer good")).status == 403
    assert (await calling(guard, "GET", path="/health")).status == 200


async def test_middleware_guards_every_route_with_the_same_scopes(make):
    middleware = make().middleware(required_scopes=iter(["notes:write"]), public=iter(["/health"]))
    for _ in range(2):  # as Litestar does, for each route
        guard = middleware(GuardedApp())
        assert (await calling(guard, "POST", "Bearer good")).status == 403
        assert (await calling(guard, "GET", path="/health")).status == 200


async def test_get_session_reads_the_headers_of_a_request(make):
    client = make()
    assert (await client.get_session({"Authorization": "Bearer good"})).user_id == "glu_ann"
    assert await client.get_session({"Authorization": "Bearer bad"}) is None
    assert await client.get_session({}) is None


# The metadata of the issuer


async def test_metadata_is_passed_on_and_kept_for_a_minute(make, issuer):
    handler = make().discovery_handler()
    for _ in range(3):
        answer = await calling(handler, "GET", path="/.well-known/oauth-authorization-server")
        assert answer.json()["issuer"] == ISSUER
    assert issuer.paths() == [METADATA]


async def test_metadata_is_fetched_again_after_a_minute(issuer):
    now = 1_000.0
    documents = issuer_module.IssuerDocuments(
        ISSUER, issuer_module.IssuerHttp(issuer.http()), monotonic=lambda: now
    )
    await documents("oauth-authorization-server")
    now += 59.9
    await documents("oauth-authorization-server")
    assert issuer.paths() == [METADATA]
    now += 0.1
    await documents("oauth-authorization-server")
    assert issuer.paths() == [METADATA] * 2


async def test_the_path_says_which_of_the_two_documents_it_is(make, issuer):
    issuer.answers["/.well-known/openid-configuration"] = {"issuer": ISSUER, "userinfo_endpoint": "x"}
    answer = await calling(make().discovery_handler(), "GET", path="/.well-known/openid-configuration")
    assert answer.json()["userinfo_endpoint"] == "x"


async def test_while_the_issuer_is_down_the_last_good_metadata_is_served(make, issuer, monkeypatch):
    monkeypatch.setattr(issuer_module, "FRESH_FOR", 0)
    handler = make().discovery_handler()
    path = "/.well-known/oauth-authorization-server"
    good = await calling(handler, "GET", path=path)
    issuer.answers[METADATA] = OUTAGES["500"]
    assert await calling(handler, "GET", path=path) == good
    assert issuer.paths() == [METADATA] * 2
    await calling(handler, "GET", path=path)
    assert issuer.paths() == [METADATA] * 2, "a failure is not followed by a request for each request"


async def test_a_document_that_is_missing_for_a_while_does_not_displace_the_last_good_one(
    make, issuer, monkeypatch
):
    """An issuer that is partly down answers 404: its proxy runs, but without its routes."""
    monkeypatch.setattr(issuer_module, "FRESH_FOR", 0)
    client = make("introspection", cache_seconds=0)
    good = await calling(client.discovery_handler(), "GET", path=METADATA)
    issuer.answers[METADATA] = httpx2.Response(404)
    assert await calling(client.discovery_handler(), "GET", path=METADATA) == good
    assert await client.verify_token("good") is not None
    monkeypatch.setattr(issuer_module, "KEPT_WHILE_MISSING", 0)
    assert (await calling(client.discovery_handler(), "GET", path=METADATA)).status == 404


async def test_metadata_that_was_never_read_is_503(make, issuer):
    issuer.answers[METADATA] = OUTAGES["500"]
    path = "/.well-known/oauth-authorization-server"
    assert (await calling(make().discovery_handler(), "GET", path=path)).status == 503


async def test_metadata_of_another_issuer_is_not_passed_on(make, issuer):
    """Clients would send their users to it."""
    issuer.answers[METADATA] = {"issuer": "https://evil.example"}
    path = "/.well-known/oauth-authorization-server"
    assert (await calling(make().discovery_handler(), "GET", path=path)).status == 503


async def test_the_metadata_of_the_resource_needs_no_issuer(make, issuer):
    client = make(scopes=("notes:read",), resource_name="Notes")
    answer = await calling(client.protected_resource_handler(), "GET", path="/anything")
    assert answer.json() == {
        "resource": RESOURCE,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["notes:read"],
        "resource_name": "Notes",
    }
    assert issuer.asked == []


async def test_handlers_refuse_pages_of_origins_that_are_not_listed(make, issuer):
    client = make(allowed_origin=["https://a.example"])
    for handler in (client.protected_resource_handler(), client.discovery_handler()):
        foreign = await calling(handler, "GET", headers=(("origin", "https://evil.example"),))
        assert (foreign.status, foreign.value("access-control-allow-origin")) == (403, None)
        assert issuer.asked == []
    listed = await calling(
        client.protected_resource_handler(), "GET", headers=(("origin", "https://a.example"),)
    )
    assert (listed.status, listed.value("access-control-allow-origin")) == (200, "https://a.example")


async def test_handlers_answer_preflights_and_head(make):
    for handler in (make().protected_resource_handler(), make().discovery_handler()):
        preflight = await calling(handler, "OPTIONS")
        assert (preflight.status, preflight.value("access-control-allow-origin")) == (204, "*")
        assert (await calling(handler, "HEAD")).body == b""


# The arguments of the client


WRONG = {
    "http to another host": ({"issuer": "http://auth.example"}, "issuer"),
    "no URL": ({"issuer": "auth.example"}, "issuer"),
    "a resource with a query": ({"resource": f"{RESOURCE}?x"}, "resource"),
    "an unknown way": ({"verify": "guess"}, "verify"),
    "a secret that is not used": ({"client_secret": "x"}, "client_secret"),
    "no credentials": ({"verify": "introspection"}, "client_id"),
    "a negative time": ({"cache_seconds": -1}, "cache_seconds"),
}


@pytest.mark.parametrize(("options", "named"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_named(options, named):
    with pytest.raises(ValueError, match=named):
        McpAuthClient(**{"issuer": ISSUER, "resource": RESOURCE, **options})


def test_one_client_is_for_one_resource(make):
    with pytest.raises(ValueError, match="this client is for"):
        make().guarded_resource("https://other.example/mcp")
    assert make().guarded_resource(RESOURCE).identifier == RESOURCE
