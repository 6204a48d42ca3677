"""The server inside other programs: Litestar, other frameworks, and no HTTP at all."""

import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import httpx2
import pytest
from litestar import Litestar, get, post
from litestar.config.csrf import CSRFConfig
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import grantledger
from grantledger import AuthorizationServer, Caller, Mount, ProtectedResource, Refusal, Settings
from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.ledger.database import CannotOpen
from grantledger.domain.resource_indicator import Resource
from grantledger.entrypoints.settings import SettingsInvalid
from support.guarding import calling
from support.hosting import NotStarted, hosting
from support.oauth import Person
from support.server import EMAIL, PASSWORD, free_port
from support.timeouts import TIMEOUT

CALLER = Caller(correlation_id="test")


@pytest.fixture
def server(tmp_path):
    return AuthorizationServer(Settings(database=str(tmp_path / "grantledger.sqlite3"), port=free_port()))


def test_an_embedded_server_has_no_workers(tmp_path):
    settings = Settings(database=str(tmp_path / "grantledger.sqlite3"), workers=2)
    with pytest.raises(SettingsInvalid, match="workers must be 1 in an embedded server"):
        AuthorizationServer(settings)


def test_a_server_whose_port_is_taken_says_what_to_do(server):
    taken = socket.create_server(("127.0.0.1", server.settings.port))
    with taken, pytest.raises(SettingsInvalid) as refused:
        server.run()
    assert str(refused.value) == (
        f"port {server.settings.port} cannot be used at 127.0.0.1 (Address already in use): stop the program "
        "that uses it, or let `port`, and the port in the issuer, be another one"
    )


class Host:
    """One application in each framework."""

    def __init__(self, lifespan: Callable[[object], AbstractAsyncContextManager[None]]) -> None:
        self._lifespan = lifespan

    def of(self, kind: str, server: AuthorizationServer) -> ASGIApp:
        match kind:
            case "litestar":
                plugins = [server.litestar_plugin()]
                return Litestar(
                    [home],
                    plugins=plugins,
                    lifespan=[self._lifespan],
                    openapi_config=None,
                    logging_config=None,
                )
            case "starlette":
                return server.in_front_of(Starlette(routes=[Route("/", page)], lifespan=self._lifespan))
            case "without lifespan":
                return server.in_front_of(without_lifespan)
            case _:
                mount = Mount(path="/host", app=without_lifespan, lifespan=lambda: self._lifespan(None))
                return server.app([mount])


@get("/")
async def home() -> str:
    return "host"


@post("/change")
async def change() -> None:
    """What a CSRF wall protects."""


def page(_: object) -> PlainTextResponse:
    return PlainTextResponse("host")


async def without_lifespan(scope, receive, send):
    """Answers HTTP, and refuses the lifespan as Django does."""
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"host"})


@asynccontextmanager
async def nothing(_: object) -> AsyncIterator[None]:
    yield


@pytest.fixture(params=["litestar", "starlette", "without lifespan", "the server alone"])
async def origin(request, server):
    """Every way to serve the server together with a host application."""
    async with server:
        await server.use_cases.open_account(EMAIL, PASSWORD, CALLER)
    async with hosting(Host(nothing).of(request.param, server), server.settings.port) as origin:
        yield origin


async def test_the_whole_flow_works_in_every_host(origin, server):
    person = Person.at(origin)
    client = await person.register()
    tokens = await person.tokens(client["client_id"])
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    session = await server.get_mcp_session(headers)
    await person.http.aclose()
    assert session is not None
    assert session.client_id == client["client_id"]


def a_path_of(route: str) -> str:
    route = route.replace("{home:str}", "S" * 22).replace("{form:str}", "consent")
    return re.sub(r"\{[^}]+\}", "unknown", route)


async def test_each_route_is_answered_by_the_server(origin, server):
    async with httpx2.AsyncClient(base_url=origin, verify=False, timeout=TIMEOUT) as http:
        for route in server.routes:
            path = a_path_of(route)
            answer = await http.request("PATCH", path)
            assert answer.status_code == 405, path


@pytest.mark.parametrize("origin", ["litestar", "starlette", "without lifespan"], indirect=True)
async def test_the_host_answers_all_other_paths(origin):
    async with httpx2.AsyncClient(base_url=origin, verify=False, timeout=TIMEOUT) as http:
        assert (await http.get("/")).text == "host"


@pytest.mark.parametrize("origin", ["litestar", "starlette"], indirect=True)
@pytest.mark.parametrize("path", ["/tokens", "/authorizes", "/.well-known/security.txt", "/registered"])
async def test_the_host_answers_paths_that_only_resemble_ours(origin, path):
    async with httpx2.AsyncClient(base_url=origin, verify=False, timeout=TIMEOUT) as http:
        answer = await http.get(path)
    assert answer.status_code == 404
    assert b"not_found" not in answer.content


@pytest.mark.parametrize("kind", ["litestar", "starlette"])
async def test_the_host_starts_after_the_ledger_is_open_and_ends_before_it_closes(server, kind):
    opened = []

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        opened.append(await server.use_cases.open_account("starts@example.com", PASSWORD, CALLER))
        yield
        opened.append(await server.use_cases.open_account("ends@example.com", PASSWORD, CALLER))

    host = Host(lifespan)
    async with hosting(host.of(kind, server), server.settings.port):
        pass
    assert len(opened) == 2


@pytest.mark.parametrize("kind", ["litestar", "starlette", "without lifespan"])
async def test_a_host_does_not_start_without_the_ledger(server, kind):
    Path(server.settings.database).write_bytes(b"no database" * 1000)
    Path(server.settings.database).chmod(0o600)
    with pytest.raises(NotStarted):
        async with hosting(Host(nothing).of(kind, server), server.settings.port):
            pass


async def test_a_host_that_fails_to_start_closes_the_ledger(server):
    @asynccontextmanager
    async def failing(_: object) -> AsyncIterator[None]:
        if server.settings.realm:
            raise RuntimeError("the host's own trouble")
        yield

    with pytest.raises(NotStarted):
        async with hosting(server.in_front_of(Starlette(lifespan=failing)), server.settings.port):
            pass
    with closing(sqlite3.connect(server.settings.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert database.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)


@pytest.mark.parametrize(("host", "warned"), [("localhost", True), ("127.0.0.1", False)])
async def test_an_embedded_server_on_localhost_warns_that_it_has_two_addresses(
    tmp_path, caplog, host, warned
):
    port = free_port()
    settings = Settings(
        issuer=f"http://{host}:{port}", port=port, database=str(tmp_path / "grantledger.sqlite3")
    )
    embedded = AuthorizationServer(settings)
    async with hosting(embedded.in_front_of(Starlette()), port):
        pass
    assert ("is on localhost, which browsers look for at 127.0.0.1 and at [::1]" in caplog.text) == warned


async def test_use_cases_work_without_http(server):
    async with server:
        user_id = await server.use_cases.open_account(EMAIL, PASSWORD, CALLER)
        await server.use_cases.disable_user(user_id, CALLER)
        with pytest.raises(Refusal):
            await server.use_cases.look_up_session("gla_unknown")


async def test_a_server_can_be_opened_again_and_in_parallel(server):
    async with server:
        async with server:
            pass
        await server.use_cases.open_account("one@example.com", PASSWORD, CALLER)
    async with server:
        await server.use_cases.open_account("two@example.com", PASSWORD, CALLER)


async def test_an_opening_that_failed_can_be_tried_again(server):
    database = Path(server.settings.database)
    database.write_bytes(b"no database" * 1000)
    database.chmod(0o600)
    with pytest.raises(CannotOpen):
        async with server:
            pass
    database.unlink()
    async with server:
        await server.use_cases.open_account(EMAIL, PASSWORD, CALLER)


async def test_a_guarded_mount_is_at_the_path_of_its_resource(server):
    mount = server.mount(without_lifespan)
    assert mount.path == "/mcp"
    async with (
        hosting(server.app([mount]), server.settings.port) as origin,
        httpx2.AsyncClient(verify=False, timeout=TIMEOUT) as http,
    ):
        answer = await http.post(f"{origin}/mcp")
        assert answer.status_code == 401
        assert f"{origin}/.well-known/oauth-protected-resource/mcp" in answer.headers["www-authenticate"]


def at_the_origin(server: AuthorizationServer, *resources: str) -> AuthorizationServer:
    """Return a server with protected resources at these paths of its origin."""
    urls = [f"{server.issuer}{path}" for path in resources]
    return AuthorizationServer(
        Settings(
            database=server.settings.database,
            port=server.settings.port,
            resources=tuple(ProtectedResource(url) for url in urls),
        )
    )


@pytest.mark.parametrize("path", ["", "/"])
async def test_a_mount_at_the_origin_hides_none_of_the_servers_routes(server, path):
    server = at_the_origin(server, path)
    async with (
        hosting(server.app([server.mount(without_lifespan)]), server.settings.port) as origin,
        httpx2.AsyncClient(base_url=origin, verify=False, timeout=TIMEOUT) as http,
    ):
        for route in server.routes:
            answer = await http.request("PATCH", a_path_of(route))
            assert answer.status_code == 405, route
        assert (await http.get("/.well-known/oauth-authorization-server/mcp")).status_code == 404
        assert [(await http.get(url)).status_code for url in ("/", "/tools", "/tokens")] == [401, 401, 401]


async def test_a_mount_below_the_root_leaves_the_front_page(server):
    mount = Mount(path="/host", app=without_lifespan, lifespan=lambda: nothing(None))
    async with (
        hosting(server.app([mount]), server.settings.port) as origin,
        httpx2.AsyncClient(base_url=origin, verify=False, timeout=TIMEOUT) as http,
    ):
        assert "<h1>Authorization server</h1>" in (await http.get("/")).text
        assert (await http.get("/host")).text == "host"


async def test_the_mount_with_the_longest_path_gets_the_request(server):
    server = at_the_origin(server, "", "/mcp", "/mcp/notes/")

    def named(name: str) -> ASGIApp:
        async def answer(_scope, _receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": name.encode()})

        return answer

    paths = ("", "/mcp", "/mcp/notes/")
    mounts = [Mount(path=path, app=named(path), lifespan=lambda: nothing(None)) for path in paths]
    async with (
        hosting(server.app(mounts), server.settings.port) as origin,
        httpx2.AsyncClient(base_url=origin, verify=False, timeout=TIMEOUT) as http,
    ):
        asked = ("/", "/mcpx", "/mcp", "/mcp/x", "/mcp/notes", "/mcp/notes/", "/mcp/notes/x")
        answered = [(await http.get(path)).text for path in asked]
    assert answered == ["", "", "/mcp", "/mcp", "/mcp/notes/", "/mcp/notes/", "/mcp/notes/"]


async def test_a_resource_without_a_path_has_metadata_of_its_own(server):
    server = at_the_origin(server, "/mcp", "")
    async with (
        hosting(server.app(), server.settings.port) as origin,
        httpx2.AsyncClient(base_url=origin, verify=False, timeout=TIMEOUT) as http,
    ):
        well_known = "/.well-known/oauth-protected-resource"
        described = [(await http.get(path)).json()["resource"] for path in (well_known, f"{well_known}/mcp")]
    assert described == [origin, f"{origin}/mcp"]


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}])
def test_the_challenge_of_a_host_says_where_to_get_a_token(server, headers):
    url = f"{server.issuer}/.well-known/oauth-protected-resource/mcp"
    assert server.challenge(headers) == f'Bearer resource_metadata="{url}"'


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_the_challenge_of_a_host_says_that_the_token_is_refused(server, name):
    challenge = server.challenge({name: "Bearer glat_unknown"}, resource=server.resource().identifier)
    assert challenge.startswith('Bearer error="invalid_token", ')


def test_a_challenge_for_a_resource_that_is_not_configured_is_an_error(server):
    with pytest.raises(ValueError, match="not one of the protected resources"):
        server.challenge({}, resource="https://elsewhere.example/mcp")


async def test_csrf_protection_of_a_litestar_host_skips_our_routes(server):
    async with server:
        await server.use_cases.open_account(EMAIL, PASSWORD, CALLER)
    wall = CSRFConfig(secret="the-secret-of-the-host")
    app = Litestar(
        [home, change],
        plugins=[server.litestar_plugin()],
        csrf_config=wall,
        openapi_config=None,
        logging_config=None,
    )
    async with hosting(app, server.settings.port) as origin:
        person = Person.at(origin)
        tokens = await person.tokens((await person.register())["client_id"])
        refused = await person.http.post("/change")
        await person.http.aclose()
    assert tokens["access_token"]
    assert refused.status_code == 403


def test_a_resource_that_is_not_configured_cannot_be_guarded(server):
    with pytest.raises(ValueError, match="not one of the protected resources"):
        server.guard(without_lifespan, "https://elsewhere.example/mcp")


def test_a_guard_knows_the_scopes_that_clients_can_get(tmp_path):
    database = str(tmp_path / "grantledger.sqlite3")
    of_one = ProtectedResource(identifier="http://127.0.0.1:8000/mcp", scopes=("todo:write",))
    of_another = ProtectedResource(identifier="http://127.0.0.1:8000/other", scopes=("other",))
    settings = Settings(database=database, scopes=("openid",), resources=(of_one, of_another))
    guarded = AuthorizationServer(settings).guarded_resource(of_one.identifier)
    assert guarded.offered_scopes == frozenset({"openid", "todo:write"})


FILES = "https://files.example/mcp"


async def test_a_resource_that_a_command_has_added_can_be_guarded(server):
    async with server:
        await server.use_cases.add_resource(Resource(FILES, "Files", ("files:read",)), CALLER)
        guard = server.guard(without_lifespan, FILES)  # without a restart, and in a running event loop
        metadata = await calling(guard, "GET", path="/.well-known/oauth-protected-resource/mcp")
        assert metadata.json()["resource"] == FILES
        assert metadata.json()["scopes_supported"] == ["files:read"]
        assert (await calling(guard)).status == 401
        await server.use_cases.remove_resource(FILES, CALLER)
    with pytest.raises(ValueError, match="not one of the protected resources"):
        AuthorizationServer(server.settings).guard(without_lifespan, FILES)


async def test_the_next_start_knows_the_resources_that_commands_have_added(server):
    async with server:
        await server.use_cases.add_resource(Resource(FILES), CALLER)
    assert AuthorizationServer(server.settings).resource("https://FILES.example/mcp").identifier == FILES


def test_asking_for_an_unknown_resource_makes_no_database(server):
    with pytest.raises(ValueError, match="grantledger resource add"):
        server.resource(FILES)
    assert not Path(server.settings.database).exists()


def test_all_public_names_are_there():
    assert {name for name in grantledger.__all__ if getattr(grantledger, name, None) is None} == set()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        grantledger.Server  # noqa: B018 - the access is the test


def test_the_package_and_its_settings_import_no_framework():
    frameworks = "{'cryptography', 'dependency_injector', 'litestar', 'sqlalchemy'}"
    program = f"import sys, grantledger; grantledger.Settings(); assert not {frameworks} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
