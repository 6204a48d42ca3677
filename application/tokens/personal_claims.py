"""The claims about a user that the ID token and UserInfo share."""

from collections.abc import Collection, Mapping

from msgspec import Struct

from grantledger.application.ports import PrivateRecords
from grantledger.domain.aggregate import Versioned
from grantledger.domain.scope import EMAIL, PROFILE
from grantledger.domain.user_account import UserAccount


class PersonalClaims(Struct, frozen=True, kw_only=True):
    """OpenID Connect Core section 5.1. What is unknown, erased or not granted is None."""

    name: str | None = None
    email: str | None = None

    @property
    def email_verified(self) -> bool | None:
        """Always false, because no address is verified. None without an address."""
        return None if self.email is None else False


_MOST_KEPT = 1_024


class PersonalClaimsReader:
    """Reads the claims of a scope (section 5.4), and caches those of the users that were read last.

    Each change of a name or address comes with an event of the account. So cached claims are valid as long as
    the account has the same version. Every request reads the version.
    """

    def __init__(self, private: PrivateRecords) -> None:
        self._private = private
        self._kept: dict[str, tuple[int, Mapping[str, str]]] = {}

    async def __call__(self, user: Versioned[UserAccount], scopes: Collection[str]) -> PersonalClaims:
        """Takes at most one read, and none if no scope has a claim. Raises `Unavailable`."""
        if EMAIL not in scopes and PROFILE not in scopes:
            return PersonalClaims()
        values = await self._values(user)
        return PersonalClaims(
            name=values.get("name") if PROFILE in scopes else None,
            email=values.get("email") if EMAIL in scopes else None,
        )

    async def _values(self, user: Versioned[UserAccount]) -> Mapping[str, str]:
        version, values = self._kept.get(user.key, (0, {}))
        if version != user.version:
            values = await self._private.values(user.key, ("name", "email"))
            if len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[user.key] = user.version, values
        return values
