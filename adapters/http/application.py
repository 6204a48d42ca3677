"""The HTTP layer as one ASGI application: every route, and the answers where no route answers."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar, Request, Response, Router
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from grantledger.adapters.asgi_types import ASGIApp
from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.embedding.host_identity import HostIdentity
from grantledger.adapters.http.answers import NO_STORE, error_answer, unavailable_answer
from grantledger.adapters.http.caller import CallerReader, Network
from grantledger.adapters.http.errors import WireError
from grantledger.adapters.http.limits import MAX_BODY
from grantledger.adapters.http.middleware import (
    Mount,
    note_exception,
    with_cors,
    with_head,
    with_mounts,
    with_request_log,
)
from grantledger.adapters.http.oauth.authorization_response import AuthorizationResponses
from grantledger.adapters.http.oauth.authorize import authorization_endpoints
from grantledger.adapters.http.oauth.discovery import discovery_endpoints
from grantledger.adapters.http.oauth.jwks import jwks_endpoint
from grantledger.adapters.http.oauth.register import registration_endpoint
from grantledger.adapters.http.oauth.revoke import revocation_endpoint
from grantledger.adapters.http.oauth.session import session_endpoint
from grantledger.adapters.http.oauth.token import token_endpoint
from grantledger.adapters.http.oauth.userinfo import userinfo_endpoint
from grantledger.adapters.http.pages.account import account_pages
from grantledger.adapters.http.pages.browser import FormTokens, PageCookies, ParkedRequests, Visits
from grantledger.adapters.http.pages.consent import consent_form
from grantledger.adapters.http.pages.errors import PageErrors
from grantledger.adapters.http.pages.flow import AuthorizationFlow, SignInWays
from grantledger.adapters.http.pages.password import password_pages, sign_out_everywhere_form
from grantledger.adapters.http.pages.rendering import Pages
from grantledger.adapters.http.pages.responses import stylesheet_endpoint
from grantledger.adapters.http.pages.sessions import CookieSessions, HostSessions
from grantledger.adapters.http.pages.sign_in import sign_in_form, sign_out_form, sign_up_pages
from grantledger.adapters.http.pages.submissions import Submissions
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Clock, PrivateRecords, Randomness, Unavailable
from grantledger.application.use_cases import UseCases

_log = logging.getLogger("grantledger.http")

HTTP_ERRORS = {
    400: WireError("invalid_request", "The request cannot be read."),
    404: WireError("not_found", "There is nothing at this address."),
    405: WireError("method_not_allowed", "This address does not take this method."),
    413: WireError("invalid_request", f"The body is longer than {MAX_BODY} bytes."),
    500: WireError("server_error", "Something went wrong here."),
}
"""What programs are told where no endpoint answers."""

_SHARED = ("register", "token", "revoke", "session", "jwks", "userinfo")
"""The endpoints that scripts of any origin may call."""


class HttpParts(Struct, frozen=True, kw_only=True):
    """All that the HTTP layer is built from.

    Forwarded headers count only from `trusted_proxies`. With a `host_identity` the users are the host
    application's, who sign in at `sign_in_ways.login_page`.
    """

    use_cases: UseCases
    policy: ServerPolicy
    sign_in_ways: SignInWays
    trusted_proxies: Sequence[Network]
    clock: Clock
    randomness: Randomness
    private_records: PrivateRecords
    digests: KeyedDigests
    sealed_box: SealedBox
    host_identity: HostIdentity | None = None


class HttpLayer:
    """Every endpoint and page of one server."""

    def __init__(self, parts: HttpParts) -> None:
        policy = parts.policy
        self._parts = parts
        self._use_cases = parts.use_cases
        self._base_path = base_path = urlsplit(policy.issuer).path.rstrip("/")
        self._caller_of = caller_of = CallerReader(parts.trusted_proxies)
        cookies = PageCookies(policy.issuer)
        parked = ParkedRequests(parts.sealed_box, cookies, parts.clock)
        visits = Visits(base_path, parked, cookies, parts.randomness)
        form_tokens, pages = FormTokens(parts.digests), Pages()
        responses = AuthorizationResponses(policy.issuer)
        sessions = (
            CookieSessions(self._use_cases.find_browser_session, parts.private_records, cookies)
            if parts.host_identity is None
            else HostSessions(parts.host_identity, self._use_cases.admit_host_user, caller_of)
        )
        self._submissions = Submissions(visits, sessions, form_tokens)
        self._flow = AuthorizationFlow(
            resume=self._use_cases.resume_authorization,
            sessions=sessions,
            policy=policy,
            base_path=base_path,
            ways=parts.sign_in_ways,
            pages=pages,
            responses=responses,
            parked=parked,
            visits=visits,
            cookies=cookies,
            form_tokens=form_tokens,
            caller_of=caller_of,
        )
        self._page_errors = PageErrors(
            base_path=base_path, pages=pages, responses=responses, visits=visits, caller_of=caller_of
        )

    @cached_property
    def endpoints(self) -> list[HTTPRouteHandler]:
        """What programs call, from any origin."""
        use_cases, base_path, policy = self._use_cases, self._base_path, self._parts.policy
        redeem_code, refresh_grant = use_cases.redeem_code, use_cases.refresh_grant
        return [
            *discovery_endpoints(policy, use_cases.describe_server),
            registration_endpoint(f"{base_path}/register", use_cases.register_client, self._caller_of),
            token_endpoint(f"{base_path}/token", redeem_code, refresh_grant, self._caller_of),
            revocation_endpoint(f"{base_path}/revoke", use_cases.revoke_token, self._caller_of),
            session_endpoint(f"{base_path}/session", use_cases.look_up_session, policy),
            jwks_endpoint(f"{base_path}/jwks", use_cases.describe_keys),
            userinfo_endpoint(f"{base_path}/userinfo", use_cases.describe_user),
        ]

    @cached_property
    def pages(self) -> list[HTTPRouteHandler]:
        """What people see."""
        use_cases, flow, submissions = self._use_cases, self._flow, self._submissions
        pages = [
            *authorization_endpoints(flow, use_cases.start_authorization),
            consent_form(flow, submissions, use_cases.give_consent),
            *account_pages(flow, submissions, use_cases.list_connected_apps, use_cases.disconnect_app),
            stylesheet_endpoint(self._base_path),
        ]
        if flow.ways.built_in:
            sign_out, disconnect_all = use_cases.sign_out, use_cases.disconnect_every_app
            pages += [
                sign_in_form(flow, submissions, use_cases.sign_in, sign_out),
                sign_out_form(flow, submissions, sign_out),
                *password_pages(flow, submissions, use_cases.change_password, disconnect_all),
                sign_out_everywhere_form(flow, submissions, use_cases.sign_out_everywhere, disconnect_all),
            ]
            if flow.ways.sign_up:
                pages += sign_up_pages(flow, submissions, use_cases.sign_up)
        return pages

    @property
    def routes(self) -> list[str]:
        """The paths that are answered, with parameters in braces."""
        return sorted({path for handler in (*self.endpoints, *self.pages) for path in handler.paths})

    def app(
        self,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
        mounts: Sequence[Mount] = (),
    ) -> ASGIApp:
        """Return the whole server as one ASGI application."""
        page_errors = self._page_errors

        def failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
            _log.error("unexpected error", exc_info=error)
            if page_errors.own(request.scope["path"]):
                return page_errors.broken(request)
            return error_answer(HTTP_ERRORS[500], status=500)

        def http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
            answer = page_errors.http_error if page_errors.own(request.scope["path"]) else _http_error
            return answer(request, error)

        def unavailable(request: Request[Any, Any, Any], error: Unavailable) -> Response[bytes]:
            answer = page_errors.unavailable if page_errors.own(request.scope["path"]) else _unavailable
            return answer(request, error)

        app = Litestar(
            [
                *self.endpoints,
                Router("/", route_handlers=[*self.pages], exception_handlers=page_errors.handlers()),
            ],
            exception_handlers={HTTPException: http_error, Unavailable: unavailable, Exception: failed},
            lifespan=[lambda _: lifespan(), *(_without_app(mount) for mount in mounts)],
            request_max_body_size=MAX_BODY,
            after_exception=[note_exception],
            openapi_config=None,
            logging_config=None,
        )
        shared = {f"{self._base_path}/{name}" for name in _SHARED}
        well_known = ("/.well-known/", f"{self._base_path}/.well-known/")

        def is_shared(path: str) -> bool:
            return path.rstrip("/") in shared or path.startswith(well_known)

        return with_request_log(with_mounts(with_cors(with_head(app), is_shared), mounts), self._caller_of)


def _without_app(mount: Mount) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    return lambda _: mount.lifespan()


def _http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer as JSON what no route answers: an HTML page under /.well-known makes clients stumble."""
    wire_error = HTTP_ERRORS.get(error.status_code, HTTP_ERRORS[400])
    headers = {**NO_STORE, **(error.headers or {})}  # a 405 says which methods are allowed
    return error_answer(wire_error, status=error.status_code, headers=headers)


def _unavailable(_: Request[Any, Any, Any], __: Unavailable) -> Response[bytes]:
    return unavailable_answer()
