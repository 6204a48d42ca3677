"""The users of a host application, where it signs them in on a page of its own.

The contract has three parts. The setting `login_page` names the host's sign-in page: whoever is not signed
in is sent there with `?transaction=...`. When the host has signed the user in, it sends the browser to
`resume_path(base_path, transaction)`. And for each request to the pages a `HostIdentity` says who is signed
in. The pages of the built-in identity (sign-in, sign-up, password) are then not served.
"""

import re
from typing import Protocol

from msgspec import Struct

from grantledger.adapters.asgi_types import Scope

_TRANSACTION = re.compile(r"[A-Za-z0-9_-]{1,64}")


class HostUser(Struct, frozen=True, kw_only=True):
    """Somebody who is signed in at the host.

    `user_id` is how the host knows the user, for ever: never given to somebody else later. It is kept sealed,
    and found again as an account of our own with an id of ours. `signed_in_at` is when they signed in, UTC
    seconds: another value is another sign-in, so forms of pages that were left open stop working, and
    `prompt=login` is satisfied. `name` is what the pages call them, if anything better than `user_id`.
    """

    user_id: str
    signed_in_at: int
    name: str | None = None


class HostIdentity(Protocol):
    async def __call__(self, scope: Scope) -> HostUser | None:
        """Return who is signed in at the host in this request, None for nobody.

        `scope` is the ASGI scope of a request to our pages, with the host's own cookies among its headers.
        Must not trust anything that a stranger can write, and raise `Unavailable` where it cannot tell.
        """
        ...


def resume_path(base_path: str, transaction: str) -> str:
    """Return the path to which the host's sign-in page sends the browser on.

    `transaction` is the parameter as it came: raises `ValueError` unless it looks like one of ours, so that
    nobody can make the host redirect elsewhere. `base_path` is the path of the issuer, "" for none.
    """
    if not _TRANSACTION.fullmatch(transaction):
        raise ValueError("not a transaction id")
    return f"{base_path}/authorize/{transaction}"
