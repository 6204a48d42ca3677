"""Responses to a browser on the pages."""

from litestar import Response
from litestar.enums import MediaType

from grantledger.adapters.http.pages.rendering import PAGE_CSS

_FEATURES = (
    *("accelerometer", "camera", "clipboard-read", "display-capture", "geolocation"),
    *("gyroscope", "hid", "identity-credentials-get", "magnetometer", "microphone", "midi", "payment"),
    *("publickey-credentials-get", "serial", "usb"),
)

# No `form-action`: Chromium applies it to the redirect after the form too, and would block the redirect to
# the client.
PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    # Not "no-referrer": browsers would write "Origin: null" into our own forms.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    # The pages have no scripts; this is for a browser that runs one anyway.
    "permissions-policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
}


def page(html: str, *, status: int = 200) -> Response[bytes]:
    return Response(html.encode(), status_code=status, media_type=MediaType.HTML, headers=PAGE_HEADERS)


def account_page(html: str, *, status: int = 200) -> Response[bytes]:
    """Return an account page with a header that separates it from the window that opened it.

    Authorization pages must not have it: clients open them as popups, and the callback needs `window.opener`.
    """
    response = page(html, status=status)
    response.headers["cross-origin-opener-policy"] = "same-origin"
    return response


def redirect(location: str) -> Response[bytes]:
    """303, so that no browser sends a form with its password to the target (RFC 9700 section 4.12)."""
    return Response(b"", status_code=303, headers={**PAGE_HEADERS, "location": location})


_CSS_HEADERS = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


async def stylesheet() -> Response[bytes]:
    """Serve the style sheet. Its URL has a digest of the content, so browsers may cache it forever."""
    return Response(PAGE_CSS, media_type=MediaType.CSS, headers=_CSS_HEADERS)
