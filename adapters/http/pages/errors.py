"""What a person is told when the pages refuse: what happened, and what to do now."""

from collections.abc import Callable
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import Struct
from msgspec.structs import replace

from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.errors import (
    FormForeign,
    ParametersMalformed,
    ParkedRequestLost,
    RequestTooLarge,
)
from grantledger.adapters.http.oauth.authorization_response import AuthorizationResponses
from grantledger.adapters.http.pages.browser import Visits
from grantledger.adapters.http.pages.rendering import ErrorPage, Link, Pages
from grantledger.adapters.http.pages.responses import page
from grantledger.application.ports import Unavailable
from grantledger.application.throttling import TooManyRegistrations, TooManyRequests
from grantledger.domain.authorization_request import (
    ParameterRepeated,
    SentBack,
    SignInNeeded,
    TransactionExpired,
    TransactionSpent,
)
from grantledger.domain.client_registration import ClientIsDisabled, ClientUnknown
from grantledger.domain.redirect_uri import RedirectUriMismatch, RedirectUriRequired
from grantledger.domain.refusal import Refusal
from grantledger.domain.user_account import UserIsDisabled


class PageRefusal(Struct, frozen=True):
    title: str
    explanation: str
    way_out: tuple[str, ...]
    status: int = 400
    goes_on: bool = False
    """Whether an authorization request that waits in the browser can still be answered."""
    account_shut: bool = False
    """Whether the account page would only say the same."""


_START_AGAIN = "Go back to the application that sent you here and connect again."
_BAD_REQUEST = PageRefusal(
    "This request cannot be read",
    "The application sent you here with a request that this server does not understand.",
    (_START_AGAIN, "If it happens again, tell the makers of the application."),
)
_NO_REDIRECT = PageRefusal(
    "This return address is not registered",
    "The application asked to be answered at an address that it has not registered. "
    "For your safety nothing was sent there.",
    ("Remove the connection in the application and add it again, so that it registers anew.",),
)

_EXPIRED = PageRefusal(
    "This page has expired",
    "Its time is over, it was answered already, or your browser did not keep its cookie.",
    (_START_AGAIN, "If it happens again, allow cookies for this site."),
)

PAGE_REFUSALS: dict[type[Refusal], PageRefusal] = {
    ClientUnknown: PageRefusal(
        "This application is not known here",
        "It is not registered with this server, or its registration was removed.",
        (
            "Remove the connection in the application and add it again, so that it registers anew.",
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
    RequestTooLarge: _BAD_REQUEST,
    ParkedRequestLost: _EXPIRED,
    TransactionExpired: _EXPIRED,
    TransactionSpent: PageRefusal(
        "This request was answered already",
        "Each request can be answered only once, and the application has its answer.",
        ("If it says that it is connected, you can close this page. Otherwise connect again there.",),
    ),
    FormForeign: PageRefusal(
        "This form cannot be used",
        "It was not made for you in this browser, or somebody has signed in or out since. Nothing was done.",
        ("Load the page anew: its form will be yours.",),
        403,
        goes_on=True,
    ),
    SignInNeeded: PageRefusal(
        "You are not signed in any more",
        "Your sign-in has ended since this page was shown. Nothing was done.",
        ("Sign in again, and go on from there.",),
        403,
        goes_on=True,
    ),
    UserIsDisabled: PageRefusal(
        "This account is disabled",
        "The people who run this server have disabled it.",
        ("Ask them if you think that this is a mistake.",),
        403,
        account_shut=True,
    ),
}

UNAVAILABLE = PageRefusal(
    "This server cannot answer now",
    "Nothing is lost.",
    ("Wait a moment, then load this page again.",),
    503,
    goes_on=True,
)
BROKEN = PageRefusal(
    "Something went wrong here",
    "The fault is this server's, not yours.",
    (
        "Load this page again. If a form was sent, see first whether it took effect.",
        "If it happens again, tell the people who run this server.",
    ),
    500,
    goes_on=True,
)
TOO_MANY_ATTEMPTS = PageRefusal(
    "Too many attempts",
    "Nobody may try this so often, to keep strangers from guessing passwords.",
    ("Wait some minutes, then go back and try again.",),
    429,
    goes_on=True,
)
TOO_MANY_SIGN_UPS = PageRefusal(
    "Too many new accounts",
    "This server opens only so many accounts at a time, from one place and in all. No account was opened.",
    ("Wait some minutes, then go back and try again.",),
    429,
    goes_on=True,
)

_STATUS_REFUSALS: dict[int, PageRefusal] = {
    404: PageRefusal(
        "There is no page here",
        "The address is mistyped, or it belongs to a page that has moved.",
        (_START_AGAIN,),
        404,
    ),
    405: PageRefusal(
        "This address takes no such request",
        "It belongs to a form, or to a page that only can be looked at.",
        (_START_AGAIN,),
        405,
        goes_on=True,
    ),
    413: PageRefusal(
        "That was too much text",
        "More was sent than this server reads.",
        ("Go back, write less, and send the form again.",),
        413,
        goes_on=True,
    ),
    429: TOO_MANY_ATTEMPTS,
    431: PageRefusal(
        "Your browser sent too many cookies",
        "They do not fit into one request.",
        ("Delete the cookies of this site.", _START_AGAIN),
        431,
    ),
    500: BROKEN,
    503: UNAVAILABLE,
}


def status_refusal(status: int) -> PageRefusal:
    """Return what to tell a person where HTTP itself says no; without a line of its own: unreadable."""
    return _STATUS_REFUSALS.get(status, _BAD_REQUEST)


def _too_many(refusal: TooManyRequests) -> PageRefusal:
    minutes = -(-refusal.retry_after // 60)
    wait = f"Wait {minutes} minute{'' if minutes == 1 else 's'}, then go back and try again."
    told = TOO_MANY_SIGN_UPS if isinstance(refusal, TooManyRegistrations) else TOO_MANY_ATTEMPTS
    return replace(told, way_out=(wait,))


def page_refusal(refusal: Refusal) -> PageRefusal:
    """Return what to tell a person; a refusal without a line of its own is told as an unreadable request."""
    if isinstance(refusal, TooManyRequests):
        return _too_many(refusal)
    return next(
        (PAGE_REFUSALS[base] for base in type(refusal).__mro__ if base in PAGE_REFUSALS), _BAD_REQUEST
    )


ErrorHandlers = dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]


class PageErrors:
    """The one place where an error becomes a page: what happened, and what to do now."""

    def __init__(
        self,
        *,
        base_path: str,
        pages: Pages,
        responses: AuthorizationResponses,
        visits: Visits,
        caller_of: CallerReader,
    ) -> None:
        self._base_path = base_path
        self._pages = pages
        self._visits = visits
        self._responses = responses
        self._caller_of = caller_of

    def own(self, path: str) -> bool:
        """Whether people, not programs, meet this path, so that its errors are pages too."""
        root = f"{self._base_path}/authorize"
        return path == root or path.startswith(f"{root}/")

    def answer(
        self, request: Request[Any, Any, Any], refusal: PageRefusal, *, retry_after: int | None = None
    ) -> Response[bytes]:
        """Return the page that tells this. `retry_after` is in seconds."""
        html = self._pages(
            ErrorPage(
                base_path=self._base_path,
                title=refusal.title,
                explanation=refusal.explanation,
                way_out=refusal.way_out,
                links=self._links(request, refusal),
                correlation_id=self._caller_of(request).correlation_id,
            )
        )
        answer = page(html, status=refusal.status)
        if retry_after is not None:
            answer.headers["retry-after"] = str(retry_after)
        return answer

    def _links(self, request: Request[Any, Any, Any], refusal: PageRefusal) -> tuple[Link, ...]:
        account = self._visits.account_url
        resumed = self._visits.resumable(request) if refusal.goes_on else None
        on = (Link("Go on with what you were asked", resumed),) if resumed not in (None, account) else ()
        home = () if refusal.account_shut else (Link("See your account and your connected apps", account),)
        return (*on, *home)

    def handlers(self) -> ErrorHandlers:
        """Return Litestar exception handlers for the routes of the pages.

        Functions, because Litestar copies a method with all that its object holds.
        """

        def sent_back(_: Request[Any, Any, Any], refusal: SentBack) -> Response[bytes]:
            return self._responses.error(refusal)

        def refused(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
            retry_after = refusal.retry_after if isinstance(refusal, TooManyRequests) else None
            return self.answer(request, page_refusal(refusal), retry_after=retry_after)

        return {SentBack: sent_back, Refusal: refused}

    def unavailable(self, request: Request[Any, Any, Any], _: Unavailable) -> Response[bytes]:
        return self.answer(request, UNAVAILABLE, retry_after=1)

    def broken(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        return self.answer(request, BROKEN)

    def http_error(self, request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        """Answer what no route answers, or no request may be: 404, 405, 413 and their like."""
        answer = self.answer(request, status_refusal(error.status_code))
        answer.headers |= error.headers or {}  # a 405 says which methods are allowed
        return answer
