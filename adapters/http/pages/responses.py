"""Answers to a browser on the authorization pages."""

from litestar import Response, get
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.http.pages.rendering import PAGE_CSS

# No `form-action`: Chromium applies it to the redirect that follows the form, which leads to the client.
PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def page(html: str, *, status: int = 200) -> Response[bytes]:
    return Response(html.encode(), status_code=status, media_type=MediaType.HTML, headers=PAGE_HEADERS)


def redirect(location: str) -> Response[bytes]:
    """303, so that no browser repeats a form and its password at the target (RFC 9700 section 4.12)."""
    return Response(b"", status_code=303, headers={**PAGE_HEADERS, "location": location})


_HEADERS = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


def stylesheet_endpoint(base_path: str) -> HTTPRouteHandler:
    """The pages name it with a digest of its content, so that it may be kept for ever."""
    answer = Response(PAGE_CSS, media_type=MediaType.CSS, headers=_HEADERS)

    @get(f"{base_path}/authorize/assets/page.css")
    async def stylesheet() -> Response[bytes]:
        return answer

    return stylesheet
