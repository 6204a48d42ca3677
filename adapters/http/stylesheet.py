"""The one stylesheet of the pages."""

from litestar import Response, get
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.http.pages.render import PAGE_CSS

_HEADERS = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


def stylesheet_endpoint(base_path: str) -> HTTPRouteHandler:
    """The pages name it with a digest of its content, so that it may be kept for ever."""
    answer = Response(PAGE_CSS, media_type=MediaType.CSS, headers=_HEADERS)

    @get(f"{base_path}/authorize/assets/page.css")
    async def stylesheet() -> Response[bytes]:
        return answer

    return stylesheet
