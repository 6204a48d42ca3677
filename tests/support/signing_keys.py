"""Signing keys: two that are only names, and a maker that numbers them."""

import itertools

from msgspec.structs import replace

from grantledger.application.ports import KeyPair
from grantledger.domain.signing_keys import ES256, NewKey, PublicKey

FIRST = NewKey(kid="kid-1", alg="ES256", public_key=PublicKey(kty="EC", crv="P-256", x="x-1", y="y-1"))
SECOND = replace(FIRST, kid="kid-2")


class CountingKeyMaker:
    """Makes kid-1, kid-2, kid-3 and so on."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def make(self, alg: str = ES256) -> KeyPair:
        number = next(self._numbers)
        return KeyPair(key=replace(FIRST, kid=f"kid-{number}", alg=alg), private=f"private key {number}")
