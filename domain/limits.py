"""Maximum sizes of what clients send, in bytes of UTF-8 unless named otherwise.

`adapters/http/limits.py` has the limits of HTTP, docs/limits.md lists all limits.
"""

MAX_STATE = 2 * 1024
MAX_SCOPE = 1024
MAX_NONCE = 512
MAX_REDIRECT_URIS = 20
MAX_METADATA = 16 * 1024
"""For all effective metadata of a client together, as JSON."""
MAX_WAITING_CHECKS = 4
"""Maximum number of password checks of one account that wait or run at one time."""

MAX_URI = 2 * 1024
"""For a redirect URI and each link in client metadata."""


def is_longer(text: str, limit: int) -> bool:
    return len(text) > limit or (not text.isascii() and len(text.encode(errors="surrogatepass")) > limit)
