"""Error pages, and the errors that go back to the client instead."""

from collections.abc import Callable
from typing import Any

from litestar import Request, Response

from grantledger.adapters.http.authorization_flow import AuthorizationFlow
from grantledger.adapters.http.page_answers import page
from grantledger.adapters.http.page_refusals import UNAVAILABLE, PageRefusal, page_refusal
from grantledger.adapters.http.pages.render import ErrorPage, Pages
from grantledger.application.ports import Unavailable
from grantledger.domain.authorization_request import SentBack
from grantledger.domain.refusal import Refusal

ErrorHandlers = dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]


def page_error_handlers(flow: AuthorizationFlow, pages: Pages) -> ErrorHandlers:
    """Return Litestar exception handlers for the routes of the pages."""

    def told(request: Request[Any, Any, Any], refusal: PageRefusal) -> Response[bytes]:
        html = pages.error(
            ErrorPage(
                base_path=flow.base_path,
                title=refusal.title,
                explanation=refusal.explanation,
                way_out=refusal.way_out,
                correlation_id=flow.caller_of(request).correlation_id,
            )
        )
        return page(html, status=refusal.status)

    def sent_back(_: Request[Any, Any, Any], refusal: SentBack) -> Response[bytes]:
        return flow.responses.error(refusal)

    def refused(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
        return told(request, page_refusal(refusal))

    def unavailable(request: Request[Any, Any, Any], _: Unavailable) -> Response[bytes]:
        answer = told(request, UNAVAILABLE)
        answer.headers["retry-after"] = "1"
        return answer

    return {SentBack: sent_back, Refusal: refused, Unavailable: unavailable}
