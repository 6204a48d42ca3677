"""The claims about a user that the ID token and UserInfo share."""

from collections.abc import Collection

from msgspec import Struct

from grantledger.application.ports import PrivateRecords
from grantledger.domain.scope import EMAIL, PROFILE


class PersonalClaims(Struct, frozen=True, kw_only=True):
    """OpenID Connect Core section 5.1. What is unknown, erased or not granted is None."""

    name: str | None = None
    email: str | None = None

    @property
    def email_verified(self) -> bool | None:
        """Always false, because no address is verified. None without an address."""
        return None if self.email is None else False


async def personal_claims(private: PrivateRecords, user_id: str, scopes: Collection[str]) -> PersonalClaims:
    """Return the claims of the scopes (section 5.4). Takes one read, or none if no scope has a claim."""
    names = [name for name, scope in (("name", PROFILE), ("email", EMAIL)) if scope in scopes]
    if not names:
        return PersonalClaims()
    values = await private.values(user_id, names)
    return PersonalClaims(name=values.get("name"), email=values.get("email"))
