"""The users of a host application that signs them in on its own page.

The contract has three parts. The setting `login_page` names the host's sign-in page: a user who is not signed
in is redirected there with `?transaction=...`. After the sign-in the host redirects the browser to
`resume_path(base_path, transaction)`. And for each request to the pages a `HostIdentity` returns the user.
With a host identity, the pages for sign-in, sign-up and password of the built-in identity are not served.

On a loopback issuer every program on the machine receives the host's cookies, so they prove nothing. There
the `HostIdentity` is not asked: the host vouches for the user whose password it has just checked.
"""

import re
from typing import Protocol

from msgspec import Struct

from grantledger.adapters.asgi_types import Scope

_TRANSACTION = re.compile(r"[A-Za-z0-9_-]{1,64}")


class HostUser(Struct, frozen=True, kw_only=True):
    """A user who is signed in at the host.

    `user_id` identifies the user at the host. The host must never reuse it. We store it sealed, next to an
    account with an id that we make. `signed_in_at` is the time of the sign-in, in UTC seconds: a new value is
    a new sign-in, which satisfies `prompt=login` and invalidates the forms of open pages. `name` is what the
    pages show, by default `user_id`.
    """

    user_id: str
    signed_in_at: int
    name: str | None = None


class HostIdentity(Protocol):
    async def __call__(self, scope: Scope) -> HostUser | None:
        """Return the user who is signed in at the host, None if no user is.

        `scope` is the ASGI scope of a request to our pages, with the host's cookies in its headers. Trust
        nothing in it that the host has not authenticated. Raise `Unavailable` during an outage.
        """
        ...


class Confirm(Protocol):
    async def __call__(self, scope: Scope, user_id: str) -> bool:
        """Return whether the user may allow an access now, without another sign-in at the host.

        A `HostIdentity` may have this as its method `confirm`. It is asked after each press of Allow, with
        the scope of that request and the host's id of the user.
        """
        ...


def resume_path(base_path: str, transaction: str) -> str:
    """Return the path to which the host redirects the browser after the sign-in.

    `transaction` is the parameter of the request, unchecked. Raises `ValueError` if it does not have the form
    of a transaction id, so that it cannot redirect elsewhere. `base_path` is the path of the issuer, or "".
    """
    if not _TRANSACTION.fullmatch(transaction):
        raise ValueError("not a transaction id")
    return f"{base_path}/authorize/{transaction}"
