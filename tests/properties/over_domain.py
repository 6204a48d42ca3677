"""What the machines do alike over the pure domain, which knows one client and one user by name alone."""

from collections import Counter

from msgspec import Struct

from fakes.clock import FrozenClock
from grantledger.domain.kinds import tag_of


class OverDomain:
    has_clients_and_users = False

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self._remembered: Counter[str] = Counter()

    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def disable_client(self) -> None:
        raise AssertionError("there is no client")

    def delete_client_and_register_it_anew(self) -> None:
        raise AssertionError("there is no client")

    def disable_user(self) -> None:
        raise AssertionError("there is no user")

    def happened(self, event: Struct) -> None:
        self._remembered[tag_of(event)] += 1

    def remembered(self, tag: str) -> int:
        return self._remembered[tag]

    def close(self) -> None:
        pass
