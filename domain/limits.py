"""How long what others send may be. All in bytes of UTF-8, but for the number of redirect URIs.

`adapters/http/limits.py` has those of HTTP, and docs/limits.md tells them all.
"""

MAX_STATE = 2 * 1024
MAX_SCOPE = 1024
MAX_NONCE = 512
MAX_REDIRECT_URIS = 20
MAX_URI = 2 * 1024
"""Of a redirect URI, and of each link that a client gives."""


def is_longer(text: str, limit: int) -> bool:
    return len(text) > limit or (not text.isascii() and len(text.encode(errors="surrogatepass")) > limit)
