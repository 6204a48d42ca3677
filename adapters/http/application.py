"""The HTTP layer as one ASGI application: all routes, and the answers for unknown paths."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from litestar import HttpMethod, Litestar, Request, Response, get, post, route
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct
from msgspec.structs import replace

from grantledger.adapters.asgi_types import ASGIApp, Receive, Scope, Send
from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.embedding.host_identity import Confirm, HostIdentity, HostUser, resume_path
from grantledger.adapters.embedding.routing import matcher
from grantledger.adapters.http import better_auth
from grantledger.adapters.http.better_auth import BetterAuthPaths, BetterAuthSessionEndpoint
from grantledger.adapters.http.caller import CallerReader, Network
from grantledger.adapters.http.direct import SEGMENT, with_direct_endpoints
from grantledger.adapters.http.limits import MAX_BODY
from grantledger.adapters.http.middleware import (
    CallerNames,
    Mount,
    note_exception,
    with_cors,
    with_head,
    with_hsts,
    with_mounts,
    with_normalized_paths,
    with_request_log,
)
from grantledger.adapters.http.oauth.authorization_response import AuthorizationResponses
from grantledger.adapters.http.oauth.authorize import AuthorizationEndpoint
from grantledger.adapters.http.oauth.discovery import DiscoveryEndpoint
from grantledger.adapters.http.oauth.introspect import IntrospectionEndpoint
from grantledger.adapters.http.oauth.jwks import JwksEndpoint
from grantledger.adapters.http.oauth.register import RegistrationEndpoint
from grantledger.adapters.http.oauth.revoke import RevocationEndpoint
from grantledger.adapters.http.oauth.session import SessionEndpoint
from grantledger.adapters.http.oauth.token import TokenEndpoint
from grantledger.adapters.http.oauth.userinfo import UserinfoEndpoint
from grantledger.adapters.http.pages.account import AccountEndpoints
from grantledger.adapters.http.pages.browser import (
    ACCOUNT,
    CsrfTokens,
    PageContexts,
    PageCookies,
    PendingRequests,
)
from grantledger.adapters.http.pages.consent import ConsentEndpoint
from grantledger.adapters.http.pages.devices import KnownDevices
from grantledger.adapters.http.pages.errors import PageErrors
from grantledger.adapters.http.pages.flow import AuthorizationFlow
from grantledger.adapters.http.pages.front import FrontEndpoint
from grantledger.adapters.http.pages.homes import Homes
from grantledger.adapters.http.pages.parts import PageParts, SignInWays
from grantledger.adapters.http.pages.password import PasswordEndpoints
from grantledger.adapters.http.pages.rendering import PageRenderer
from grantledger.adapters.http.pages.responses import stylesheet
from grantledger.adapters.http.pages.sessions import CookieSessions, HostSessions, SessionCookies
from grantledger.adapters.http.pages.sign_in import SignInEndpoints, SignOutEndpoint
from grantledger.adapters.http.pages.vouching import Vouchers, VouchingEndpoint
from grantledger.adapters.http.responses import AnyRequest, error_answer
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, Randomness
from grantledger.application.use_cases import UseCases

_SHARED = ("register", "token", "revoke", "introspect", "session", "jwks", "userinfo")
"""The endpoints that scripts of any origin may call (CORS)."""


class HttpParts(Struct, frozen=True, kw_only=True):
    """What the HTTP layer needs.

    Forwarded headers count only from `trusted_proxies`. With a `host_identity` the users are those of the
    host application, who sign in at `sign_in_ways.login_page`.
    """

    use_cases: UseCases
    policy: ServerPolicy
    sign_in_ways: SignInWays
    trusted_proxies: Sequence[Network]
    clock: Clock
    randomness: Randomness
    digests: KeyedDigests
    sealed_box: SealedBox
    caller_names: CallerNames
    host_identity: HostIdentity | None = None
    better_auth: Sequence[BetterAuthPaths] = ()


class HttpLayer:
    """Every route of one server.

    Handlers are bound methods: Litestar's dependency injection costs 3 us for one dependency and 60 us for
    several. No handler is in a `Router`, because Litestar copies a router with all objects that its methods
    are bound to.
    """

    def __init__(self, parts: HttpParts) -> None:
        self._use_cases = parts.use_cases
        self._policy = parts.policy
        self._responses = AuthorizationResponses(parts.policy.issuer)
        self._caller_of = CallerReader(parts.trusted_proxies)
        self._caller_names = parts.caller_names
        self._devices = KnownDevices(parts.policy.issuer, parts.sealed_box, parts.randomness)
        self._pages = _page_parts(parts, self._caller_of)
        use_cases = parts.use_cases
        self._flow = AuthorizationFlow(self._pages, self._responses, use_cases.resume_authorization)
        self._authorization = AuthorizationEndpoint(self._pages, self._flow, use_cases.start_authorization)
        self._better_auth = parts.better_auth
        self._vouchers = Vouchers(parts.sealed_box, parts.clock, parts.randomness)
        self._confirm: Confirm | None = getattr(parts.host_identity, "confirm", None)
        self._page_errors = PageErrors(
            base_path=self._pages.base_path,
            authorize_paths=self._authorize_paths,
            render=self._pages.render,
            responses=self._responses,
            homes=self._pages.homes,
            contexts=self._pages.contexts,
            caller_of=self._caller_of,
        )

    @property
    def routes(self) -> list[str]:
        """The paths that only this server may answer, with parameters in braces; not the front page."""
        handled = {path for handler in self._handlers() for path in handler.paths}
        return sorted({*handled, *self._pages.homes.routes} - {self._front_path})

    @property
    def _authorize_paths(self) -> list[str]:
        """The paths where browsers begin an authorization. The server's own path is first."""
        return [self._pages.homes.root.path, *(paths.path("authorize") for paths in self._better_auth)]

    @property
    def _front_path(self) -> str:
        """The path of the front page, which a host application or a mount may answer instead."""
        return self._pages.base_path or "/"

    def vouch(self, segment: str, user: HostUser) -> str:
        """Return where a host redirects the browser of a user whose password it has just checked.

        Raises `ValueError` for a malformed transaction.
        """
        path = resume_path(self._pages.base_path, segment)
        if not self._pages.homes.on_loopback:  # elsewhere the session of the host counts
            return path
        return f"{path}/vouched/{self._vouchers.make(segment, user)}"

    def app(
        self,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
        mounts: Sequence[Mount] = (),
    ) -> ASGIApp:
        """Return the whole server as one ASGI application."""
        page_errors = self._page_errors

        def answer_error(request: AnyRequest, error: Exception) -> Response[bytes]:
            if page_errors.own(request.scope["path"]):
                return page_errors.response(request, error)
            return error_answer(request, error)

        app = Litestar(
            self._handlers(),
            exception_handlers={Exception: answer_error},
            lifespan=[lambda _: lifespan(), *(_lifespan(mount) for mount in mounts)],
            request_max_body_size=MAX_BODY,
            after_exception=[note_exception],
            openapi_config=None,
            logging_config=None,
        )
        base = self._pages.base_path
        shared = {
            *(f"{base}/{name}" for name in _SHARED),
            *(paths.path(name) for paths in self._better_auth for name in better_auth.SHARED),
        }
        well_known = (
            *("/.well-known/", f"{base}/.well-known/"),
            *(paths.well_known for paths in self._better_auth),
        )

        def is_shared(path: str) -> bool:
            return path in shared or path.startswith(well_known)

        is_route = matcher(self.routes)

        def is_own(path: str) -> bool:
            return is_route(path) or path.startswith(well_known)

        pages = self._pages.homes.root.path
        hottest = [
            *(f"{base}/{name}" for name in ("authorize", "register", "revoke", "session", "token")),
            *(paths.path("get-session") for paths in self._better_auth),
            f"{pages}/{SEGMENT}",
            f"{pages}/{SEGMENT}/consent",
        ]
        direct = self._pages.homes.with_homes(with_direct_endpoints(app, hottest, pages, answer_error))

        async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
            request: AnyRequest = Request(scope, receive, send)
            response = answer_error(request, NotFoundException())
            await response.to_asgi_response(None, request)(scope, receive, send)

        normalized = with_normalized_paths(direct, not_found, base_path=base)
        ours = with_cors(with_head(normalized), is_shared)
        if self._policy.issuer.startswith("https:") and not self._pages.homes.on_loopback:
            ours = with_hsts(ours)
        whole = with_mounts(ours, mounts, is_own)
        return with_request_log(whole, self._caller_of, self._caller_names)

    def _handlers(self) -> list[HTTPRouteHandler]:
        """Return new handlers: Litestar binds each to one application."""
        handlers = [
            *self._endpoints(),
            *(handler for paths in self._better_auth for handler in self._endpoints_of_better_auth(paths)),
            get(self._front_path)(FrontEndpoint(self._pages, self._policy).front),
            get(f"{self._pages.base_path}/authorize")(self._authorization.authorize),
            post(f"{self._pages.base_path}/authorize")(self._authorization.authorize_by_post),
            get(f"{self._pages.base_path}/authorize/assets/page.css")(stylesheet),
            *self._authorization_pages(),
            *self._account_pages(),
        ]
        if self._pages.ways.own_sessions:
            handlers += self._pages_of_own_sessions()
        if self._pages.ways.built_in:
            handlers += self._pages_of_built_in_identity()
        return handlers

    def _show(self, *paths: str) -> Callable[..., HTTPRouteHandler]:
        """Return the decorator for a page at these paths below the root of the pages."""
        root = self._pages.homes.root.path
        return get([f"{root}/{path}" for path in paths], before_request=self._pages.homes.guard)

    def _submit(self, path: str) -> Callable[..., HTTPRouteHandler]:
        """Return the decorator for a form at this path below the root of the pages."""
        homes = self._pages.homes
        return post(f"{homes.root.path}/{path}", before_request=homes.guard)

    def _endpoints(self) -> list[HTTPRouteHandler]:
        """The endpoints that programs call."""
        use_cases, base, caller_of = self._use_cases, self._pages.base_path, self._caller_of
        discovery = DiscoveryEndpoint(
            self._policy, use_cases.describe_server, use_cases.catalogue, self._better_auth
        )
        mode = self._policy.registration_mode
        registration = RegistrationEndpoint(use_cases.register_client, caller_of, needs_token=mode == "token")
        token = TokenEndpoint(use_cases.redeem_code, use_cases.refresh_grant, caller_of)
        revocation = RevocationEndpoint(use_cases.revoke_token, caller_of)
        introspection = IntrospectionEndpoint(use_cases.introspect_token, caller_of)
        session = SessionEndpoint(use_cases.look_up_session, self._policy)
        jwks = JwksEndpoint(use_cases.describe_keys)
        userinfo = UserinfoEndpoint(use_cases.describe_user)
        return [
            get(discovery.paths)(discovery.document),
            *([post(self._at("register"))(registration.register)] if mode != "closed" else []),
            post(f"{base}/token")(token.token),
            post(f"{base}/revoke")(revocation.revoke),
            post(f"{base}/introspect")(introspection.introspect),
            get(f"{base}/session")(session.session),
            get(self._at("jwks"))(jwks.jwks),
            route(self._at("userinfo"), http_method=[HttpMethod.GET, HttpMethod.POST])(userinfo.userinfo),
        ]

    def _at(self, endpoint: str) -> list[str]:
        """Return the paths of an endpoint that is also served at the paths of Better Auth."""
        return [
            f"{self._pages.base_path}/{endpoint}",
            *(paths.path(endpoint) for paths in self._better_auth),
        ]

    def _endpoints_of_better_auth(self, paths: BetterAuthPaths) -> list[HTTPRouteHandler]:
        """The endpoints that name the issuer of `paths`, or answer for its resource alone."""
        use_cases = self._use_cases
        authorization = AuthorizationEndpoint(self._pages, self._flow, use_cases.start_authorization, paths)
        token = TokenEndpoint(
            use_cases.redeem_code, use_cases.refresh_grant, self._caller_of, issuer=paths.issuer
        )
        session = BetterAuthSessionEndpoint(use_cases.look_up_session, paths.resource)
        return [
            get(paths.path("authorize"))(authorization.authorize),
            post(paths.path("authorize"))(authorization.authorize_by_post),
            post(paths.path("token"))(token.token),
            get(paths.path("get-session"))(session.get_session),
        ]

    def _authorization_pages(self) -> list[HTTPRouteHandler]:
        consent = ConsentEndpoint(self._pages, self._responses, self._use_cases.give_consent, self._confirm)
        page = "{segment:str}"
        forms = ("sign-in", "consent", "sign-out")
        return [
            self._show(page)(self._authorization.resume),
            self._show(*(f"{page}/{form}" for form in forms))(self._authorization.reload),
            self._submit(f"{page}/consent")(consent.submit_consent),
        ]

    def _account_pages(self) -> list[HTTPRouteHandler]:
        use_cases = self._use_cases
        account = AccountEndpoints(self._pages, use_cases.list_connected_apps, use_cases.disconnect_app)
        return [
            self._show(ACCOUNT)(account.show_account),
            self._submit(f"{ACCOUNT}/disconnect")(account.submit_disconnect),
            self._show(f"{ACCOUNT}/disconnect", f"{ACCOUNT}/sign-out-everywhere")(account.reload_account),
        ]

    def _pages_of_own_sessions(self) -> list[HTTPRouteHandler]:
        sign_out = SignOutEndpoint(self._pages, self._use_cases.sign_out)
        handlers = [self._submit("{segment:str}/sign-out")(sign_out.submit_sign_out)]
        if not self._pages.ways.built_in:
            vouching = VouchingEndpoint(self._pages, self._vouchers, self._use_cases.sign_in_host_user)
            handlers.append(self._show("{segment:str}/vouched/{voucher:str}")(vouching.accept))
        return handlers

    def _pages_of_built_in_identity(self) -> list[HTTPRouteHandler]:
        use_cases, pages = self._use_cases, self._pages
        sign_in = SignInEndpoints(
            pages,
            use_cases.resume_authorization,
            sign_in=use_cases.sign_in,
            sign_up=use_cases.sign_up,
            sign_out=use_cases.sign_out,
            devices=self._devices,
        )
        password = PasswordEndpoints(
            pages,
            change_password=use_cases.change_password,
            sign_out_everywhere=use_cases.sign_out_everywhere,
            disconnect_all=use_cases.disconnect_every_app,
            list_apps=use_cases.list_connected_apps,
        )
        page = "{segment:str}"
        handlers = [
            self._submit(f"{page}/sign-in")(sign_in.submit_sign_in),
            self._show(f"{ACCOUNT}/password")(password.show_password),
            self._submit(f"{ACCOUNT}/password")(password.submit_password),
            self._submit(f"{ACCOUNT}/sign-out-everywhere")(password.submit_sign_out_everywhere),
        ]
        if pages.ways.sign_up:
            handlers += [
                self._show(f"{page}/sign-up")(sign_in.show_sign_up),
                self._submit(f"{page}/sign-up")(sign_in.submit_sign_up),
            ]
        return handlers


def _page_parts(parts: HttpParts, caller_of: CallerReader) -> PageParts:
    policy, use_cases = parts.policy, parts.use_cases
    base_path = urlsplit(policy.issuer).path.rstrip("/")
    homes = Homes(policy.issuer)
    cookies = PageCookies(policy.issuer, homes)
    session_cookies = SessionCookies(cookies, homes, parts.sealed_box)
    pending_requests = PendingRequests(parts.sealed_box, cookies, homes, parts.clock)
    return PageParts(
        base_path=base_path,
        ways=replace(parts.sign_in_ways, own_sessions=parts.sign_in_ways.built_in or homes.on_loopback),
        catalogue=use_cases.catalogue,
        render=PageRenderer(),
        homes=homes,
        cookies=cookies,
        session_cookies=session_cookies,
        pending_requests=pending_requests,
        contexts=PageContexts(homes, pending_requests),
        csrf=CsrfTokens(parts.digests),
        sessions=(
            CookieSessions(use_cases.find_browser_session, session_cookies)
            if parts.host_identity is None or homes.on_loopback
            else HostSessions(parts.host_identity, use_cases.admit_host_user, caller_of)
        ),
        caller_of=caller_of,
    )


def _lifespan(mount: Mount) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    return lambda _: mount.lifespan()
