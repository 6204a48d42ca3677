"""Error pages, and the errors that go back to the client instead."""

from collections.abc import Callable
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from grantledger.adapters.http.authorization_response import AuthorizationResponses
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.page_answers import page
from grantledger.adapters.http.page_refusals import (
    BROKEN,
    UNAVAILABLE,
    PageRefusal,
    page_refusal,
    status_refusal,
)
from grantledger.adapters.http.pages.models import ErrorPage, Link
from grantledger.adapters.http.pages.render import Pages
from grantledger.adapters.http.visits import Visits
from grantledger.application.ports import Unavailable
from grantledger.application.too_many_requests import TooManyRequests
from grantledger.domain.authorization_request import SentBack
from grantledger.domain.refusal import Refusal

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
