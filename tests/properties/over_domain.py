"""What the machines do alike over the pure domain, which knows one client and one user by name alone."""

from fakes.clock import FrozenClock


class OverDomain:
    has_clients_and_users = False

    def __init__(self) -> None:
        self.clock = FrozenClock()

    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def disable_client(self) -> None:
        raise AssertionError("there is no client")

    def delete_client_and_register_it_anew(self) -> None:
        raise AssertionError("there is no client")

    def disable_user(self) -> None:
        raise AssertionError("there is no user")

    def close(self) -> None:
        pass
