"""The cookies of the pages: seen by no script, and sent to nobody else."""

from typing import Literal
from urllib.parse import urlsplit

from litestar.datastructures import Cookie


class PageCookies:
    """Make and name cookies that only the authorization pages receive.

    On https the `__Host-` prefix binds them to the host. On http loopback, where cookies reach every port,
    they carry the path of the pages: one without it would be sent to a client's own callback listener,
    which could then approve itself.
    """

    def __init__(self, issuer: str) -> None:
        parts = urlsplit(issuer)
        self._secure = parts.scheme.lower() == "https"
        self._prefix = "__Host-grantledger-" if self._secure else "grantledger-"
        self._path = "/" if self._secure else f"{parts.path.rstrip('/')}/authorize"

    def name(self, purpose: str) -> str:
        return f"{self._prefix}{purpose}"

    def purposes(self, cookies: dict[str, str]) -> dict[str, str]:
        """Return our cookies among those of a request, by purpose."""
        return {
            name.removeprefix(self._prefix): value
            for name, value in cookies.items()
            if name.startswith(self._prefix)
        }

    def set(self, purpose: str, value: str, *, max_age: int) -> Cookie:
        """`Lax`, so that it comes along when a client sends the browser here."""
        return self._cookie(purpose, value, max_age, "lax")

    def clear(self, purpose: str) -> Cookie:
        return self._cookie(purpose, "", 0, "lax")

    def _cookie(self, purpose: str, value: str, max_age: int, samesite: Literal["lax", "strict"]) -> Cookie:
        return Cookie(
            key=self.name(purpose),
            value=value,
            path=self._path,
            max_age=max_age,
            secure=self._secure,
            httponly=True,
            samesite=samesite,
        )
