"""What the machine knows of each registration."""

from typing import Any

from msgspec import Struct

from properties.registration.promises import Expected
from properties.whole_server.facts import Credentials, Pair, Redemption


class Had(Struct, frozen=True):
    """What a client got from a user: a code that it keeps, and the tokens for another code."""

    code: Redemption
    pair: Pair
    access_until: int


class Known(Struct, eq=False):
    """One registration: what was sent, the expected answer, and the members of the answer."""

    sent: dict[str, Any]
    wanted: Expected
    members: dict[str, Any]
    disabled: bool = False
    deleted: bool = False
    had: list[Had] = []

    @property
    def client_id(self) -> str:
        return str(self.members["client_id"])

    @property
    def secret(self) -> str | None:
        return self.members.get("client_secret")

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.client_id, self.secret)

    @property
    def redirect_uris(self) -> list[str]:
        return list(self.members["redirect_uris"])

    @property
    def is_usable(self) -> bool:
        return not (self.disabled or self.deleted)
