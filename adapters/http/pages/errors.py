"""The page for every error: what happened, and what the user can do now.

What programs receive is in `../errors.py`.
"""

import logging
from collections.abc import Collection

from litestar import Response
from litestar.exceptions import HTTPException
from msgspec import Struct
from msgspec.structs import replace

from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.errors import (
    AppsStillConnected,
    FormForeign,
    ParametersMalformed,
    PendingRequestLost,
    RequestTooLarge,
    wire_error,
)
from grantledger.adapters.http.oauth.authorization_response import AuthorizationResponses
from grantledger.adapters.http.pages.browser import MAX_LOCATION, PageContexts
from grantledger.adapters.http.pages.homes import Homes
from grantledger.adapters.http.pages.rendering import ErrorPage, LeavePage, Link, PageRenderer
from grantledger.adapters.http.pages.responses import page
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.ports import Unavailable
from grantledger.application.throttling import TooManyRegistrations, TooManyRequests
from grantledger.domain import redirect_uri
from grantledger.domain.authorization_request import (
    AlreadyConnected,
    ParameterRepeated,
    SentBack,
    SignInNeeded,
    TransactionExpired,
    TransactionSpent,
)
from grantledger.domain.client_registration import ClientIsDisabled, ClientUnknown
from grantledger.domain.offer import NoLongerOffered
from grantledger.domain.redirect_uri import RedirectUriMismatch, RedirectUriRequired
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import UserIsDisabled

_log = logging.getLogger("grantledger.http")


class PageRefusal(Struct, frozen=True):
    title: str
    explanation: str
    way_out: tuple[str, ...]
    status: int = 400
    resumable: bool = False
    """Whether the pending request, if there is one, can still be answered."""
    links_account: bool = True
    """False if the account page would show the same error."""


_START_AGAIN = "Go back to the application that sent you here and connect again."
_BAD_REQUEST = PageRefusal(
    "This request cannot be read",
    "The application sent you here with a request that this server does not understand.",
    (_START_AGAIN, "If it happens again, tell the makers of the application."),
)
_NO_REDIRECT = PageRefusal(
    "This return address is not registered",
    "The application gave a return address that it has not registered. "
    "For your safety nothing was sent there.",
    ("Remove the connection in the application and add it again, so that it registers again.",),
)

_EXPIRED = PageRefusal(
    "This page has expired",
    "It took too long, it was answered already, or your browser did not keep its cookie.",
    (_START_AGAIN, "If it happens again, allow cookies for this site."),
)

PAGE_REFUSALS: dict[type[Refusal], PageRefusal] = {
    ClientUnknown: PageRefusal(
        "This application is not known here",
        "It is not registered with this server, or its registration was removed.",
        (
            "Remove the connection in the application and add it again, so that it registers again.",
            "If it keeps an old registration, clear its stored sign-in for this server.",
        ),
    ),
    ClientIsDisabled: PageRefusal(
        "This application is disabled",
        "The people who run this server have disabled it.",
        ("Ask them if you think that this is a mistake.",),
        403,
    ),
    RedirectUriMismatch: _NO_REDIRECT,
    RedirectUriRequired: _NO_REDIRECT,
    ParameterRepeated: _BAD_REQUEST,
    ParametersMalformed: _BAD_REQUEST,
    RequestTooLarge: PageRefusal(
        "This request is too large",
        "The application sent you here with a request that your browser cannot keep.",
        ("Tell the makers of the application.",),
    ),
    PendingRequestLost: _EXPIRED,
    TransactionExpired: _EXPIRED,
    NoLongerOffered: PageRefusal(
        "This request is out of date",
        "It asks for access that this server does not offer any more.",
        (_START_AGAIN,),
    ),
    AlreadyConnected: PageRefusal(
        "Already connected",
        "The application has received your answer to this request and has connected with it.",
        (
            "You can close this page.",
            "If the application says that it is not connected, connect again there.",
        ),
        200,
    ),
    TransactionSpent: PageRefusal(
        "This request was answered already",
        "Each request can be answered only once, and this one has been allowed.",
        (
            "To connect, go back to the application and connect again there.",
            "To take back what you have allowed, disconnect the application in your account.",
        ),
    ),
    FormForeign: PageRefusal(
        "This form cannot be used",
        "It was not made for you in this browser, or a user has signed in or out since. Nothing was done.",
        ("Load the page again: its form will be yours.",),
        403,
        resumable=True,
    ),
    SignInNeeded: PageRefusal(
        "You are not signed in any more",
        "Your sign-in has ended since this page was shown. Nothing was done.",
        ("Sign in again, and go on from there.",),
        403,
        resumable=True,
    ),
    AppsStillConnected: PageRefusal(
        "Your apps are still connected",
        "You are signed out everywhere, but this server could not disconnect all of your apps.",
        ("Wait a moment, then sign in again and disconnect them.",),
        503,
    ),
    UserIsDisabled: PageRefusal(
        "This account is disabled",
        "The people who run this server have disabled it.",
        ("Ask them if you think that this is a mistake.",),
        403,
        links_account=False,
    ),
}

UNAVAILABLE = PageRefusal(
    "This server cannot answer now",
    "Nothing is lost.",
    ("Wait a moment, then load this page again.",),
    503,
    resumable=True,
)
SERVER_FAULT = PageRefusal(
    "Something went wrong here",
    "The fault is this server's, not yours.",
    (
        "Load this page again. If a form was sent, see first whether it took effect.",
        "If it happens again, tell the people who run this server.",
    ),
    500,
    resumable=True,
)
TOO_MANY_ATTEMPTS = PageRefusal(
    "Too many attempts",
    "The number of attempts is limited, to keep strangers from guessing passwords.",
    ("Wait some minutes, then go back and try again.",),
    429,
    resumable=True,
)
TOO_MANY_SIGN_UPS = PageRefusal(
    "Too many new accounts",
    "This server limits how often accounts are opened. No account was opened.",
    ("Wait some minutes, then go back and try again.",),
    429,
    resumable=True,
)

_STATUS_REFUSALS: dict[int, PageRefusal] = {
    404: PageRefusal(
        "There is no page here",
        "The address is mistyped, or it belongs to a page that has moved.",
        (_START_AGAIN,),
        404,
    ),
    405: PageRefusal(
        "This page cannot be opened this way",
        "It belongs to a form, or to a page that can only be viewed.",
        (_START_AGAIN,),
        405,
        resumable=True,
    ),
    413: PageRefusal(
        "That was too much text",
        "More was sent than this server reads.",
        ("Go back, write less, and send the form again.",),
        413,
        resumable=True,
    ),
    429: TOO_MANY_ATTEMPTS,
    431: PageRefusal(
        "Your browser sent too many cookies",
        "They do not fit into one request.",
        ("Delete the cookies of this site.", _START_AGAIN),
        431,
    ),
    500: SERVER_FAULT,
    503: UNAVAILABLE,
}


def status_refusal(status: int) -> PageRefusal:
    """Return the page for an HTTP status; a status that is not in the table is an unreadable request."""
    return _STATUS_REFUSALS.get(status, _BAD_REQUEST)


def _too_many(refusal: TooManyRequests) -> PageRefusal:
    minutes = -(-refusal.retry_after // 60)
    wait = f"Wait {minutes} minute{'' if minutes == 1 else 's'}, then go back and try again."
    known = TOO_MANY_SIGN_UPS if isinstance(refusal, TooManyRegistrations) else TOO_MANY_ATTEMPTS
    return replace(known, way_out=(wait,))


def _too_large(refusal: RequestTooLarge) -> PageRefusal:
    shorten = f"Tell the makers of the application that its parameter “{refusal.parameter}” is too long."
    return replace(PAGE_REFUSALS[RequestTooLarge], way_out=(shorten,))


def page_refusal(refusal: Refusal) -> PageRefusal:
    """Return the page of the class or nearest base class, by default the one of an unreadable request."""
    if isinstance(refusal, TooManyRequests):
        return _too_many(refusal)
    if isinstance(refusal, RequestTooLarge):
        return _too_large(refusal)
    return next(
        (PAGE_REFUSALS[base] for base in type(refusal).__mro__ if base in PAGE_REFUSALS), _BAD_REQUEST
    )


class PageErrors:
    """Turns every error of the pages into a page, or into a redirect to the client."""

    def __init__(
        self,
        *,
        base_path: str,
        authorize_paths: Collection[str],
        render: PageRenderer,
        responses: AuthorizationResponses,
        homes: Homes,
        contexts: PageContexts,
        caller_of: CallerReader,
    ) -> None:
        self._base_path = base_path
        self._authorize_paths = frozenset(authorize_paths)
        self._render = render
        self._responses = responses
        self._homes = homes
        self._contexts = contexts
        self._caller_of = caller_of

    def own(self, path: str) -> bool:
        """Return whether the path is that of a page."""
        root = f"{self._base_path}/authorize"
        return path in self._authorize_paths or path.startswith(f"{root}/")

    def response(self, request: AnyRequest, error: Exception) -> Response[bytes]:
        """Return the response to a user for anything that was raised."""
        match error:
            case SentBack():
                response = self._responses.error(error)
                # If a proxy might refuse so long a location, a page with a link replaces the redirect as
                # well.
                is_long = len(response.headers["location"]) > MAX_LOCATION
                return self._leave_page(request, error) if error.needs_click or is_long else response
            case TooManyRequests():
                return self._page(request, page_refusal(error), retry_after=error.retry_after)
            case Refusal():
                return self._page(request, page_refusal(error))
            case Unavailable():
                return self._page(request, UNAVAILABLE, retry_after=1)
            case HTTPException():
                response = self._page(request, status_refusal(error.status_code))
                response.headers |= error.headers or {}  # a 405 has an Allow header
                return response
            case _:
                _log.error("unexpected error", exc_info=error)
                return self._page(request, SERVER_FAULT)

    def _leave_page(self, request: AnyRequest, refused: SentBack) -> Response[bytes]:
        """Return a page with a link to the address of an error response, instead of a redirect."""
        html = self._render(
            LeavePage(
                base_path=self._base_path,
                home=self._homes.of(request).path,
                problem=wire_error(refused.cause).description,
                redirect_host=redirect_uri.shown_host(refused.redirect_uri),
                is_private_use=redirect_uri.is_private_use(refused.redirect_uri),
                url=self._responses.error_location(refused),
                correlation_id=self._caller_of(request).correlation_id,
            )
        )
        return page(html, status=400)

    def _page(
        self, request: AnyRequest, refusal: PageRefusal, *, retry_after: int | None = None
    ) -> Response[bytes]:
        """`retry_after` is in seconds."""
        html = self._render(
            ErrorPage(
                base_path=self._base_path,
                home=self._homes.of(request).path,
                title=refusal.title,
                explanation=refusal.explanation,
                way_out=refusal.way_out,
                links=self._links(request, refusal),
                correlation_id=self._caller_of(request).correlation_id,
            )
        )
        response = page(html, status=refusal.status)
        if retry_after is not None:
            response.headers["retry-after"] = str(retry_after)
        return response

    def _links(self, request: AnyRequest, refusal: PageRefusal) -> tuple[Link, ...]:
        account = self._contexts.of_account(request).url
        links = []
        resumed = self._contexts.resumable(request) if refusal.resumable else None
        if resumed not in (None, account):
            links.append(Link("Continue with the request", resumed))
        if refusal.links_account:
            links.append(Link("See your account and your connected apps", account))
        return tuple(links)
