from collections.abc import Callable
from contextlib import suppress

import pytest
from msgspec.structs import replace

from fakes.password_hasher import PlainPasswordHasher
from grantledger.adapters.throttles import Throttles
from grantledger.application.accounts.change_password import PasswordWrong
from grantledger.application.ports import Unavailable
from grantledger.application.provenance import Caller
from grantledger.application.throttling import TooManyGuesses, TooManyRegistrations
from grantledger.domain.rate import Rate
from support.storage import nothing_recorded
from support.story import REGISTRATION
from support.throttles import guess_limit, registration_limit
from support.use_cases import Outside, UseCases


def caller(address: str | None) -> Caller:
    return Caller(correlation_id="test", address=address)


def registering(limit, address):
    with limit.registration(address):
        pass


def test_the_total_limit_counts_all_networks_together():
    limit = registration_limit(Rate(5, 3_600), Rate(3, 3_600))
    for n in range(5):
        registering(limit, f"192.0.2.{n}")
    with pytest.raises(TooManyRegistrations, match="in total"):
        registering(limit, "198.51.100.1")


def test_one_network_cannot_use_up_the_total():
    limit = registration_limit(Rate(5, 3_600), Rate(3, 3_600))
    for _ in range(3):
        registering(limit, "192.0.2.1")
    for _ in range(50):
        with pytest.raises(TooManyRegistrations, match="from one network"):
            registering(limit, "192.0.2.1")
    registering(limit, "198.51.100.1")


def exhausted_by(network: str):
    """Let one network use up a limit of 10 an hour, but not the reserve. Return limit and registrations."""
    limit = Throttles().registration_limit("registrations", total=Rate(10, 3_600), per_network=None)
    count = 0
    with suppress(TooManyRegistrations):
        while True:
            registering(limit, network)
            count += 1
    return limit, count


def test_one_network_cannot_use_up_the_reserve():
    assert exhausted_by("192.0.2.1")[1] == 8


def test_a_network_that_registered_nothing_lately_has_the_reserve():
    limit, _ = exhausted_by("192.0.2.1")
    registering(limit, "198.51.100.1")
    with pytest.raises(TooManyRegistrations, match="in total"):
        registering(limit, "198.51.100.1")


def test_the_reserve_is_bounded_too():
    limit, _ = exhausted_by("192.0.2.1")
    for n in range(2):
        registering(limit, f"198.51.100.{n}")
    with pytest.raises(TooManyRegistrations, match="in total"):
        registering(limit, "198.51.100.9")


def test_networks_of_one_ipv6_site_share_one_part_of_the_reserve():
    limit, _ = exhausted_by("2001:db8:1:1::1")
    with pytest.raises(TooManyRegistrations, match="in total"):
        registering(limit, "2001:db8:1:2::1")
    registering(limit, "2001:db8:2:1::1")


def test_an_unknown_address_has_no_reserve():
    limit, _ = exhausted_by("192.0.2.1")
    with pytest.raises(TooManyRegistrations, match="in total"):
        registering(limit, None)


def test_a_registration_that_fails_returns_its_part_of_the_reserve():
    limit, _ = exhausted_by("192.0.2.1")
    with pytest.raises(Unavailable), limit.registration("198.51.100.1"):
        raise Unavailable
    registering(limit, "198.51.100.1")


def test_a_registration_that_fails_does_not_count():
    limit = registration_limit(Rate(1, 3_600), Rate(1, 3_600))
    for _ in range(5):
        with pytest.raises(Unavailable), limit.registration("192.0.2.1"):
            raise Unavailable
    registering(limit, "192.0.2.1")


async def test_registering_a_known_client_again_is_never_throttled(ledger):
    server = UseCases(ledger, outside=Outside(registrations=registration_limit(Rate(1, 3_600), None)))
    first = await server.register_client(REGISTRATION, caller("192.0.2.1"))
    for _ in range(50):
        again = await server.register_client(REGISTRATION, caller("192.0.2.1"))
        assert again.client.client_id == first.client.client_id


class AskedWhileHashing(PlainPasswordHasher):
    """Calls `ask` whenever it hashes a password."""

    ask: Callable[[], None]

    async def hash(self, password: str) -> str:
        self.ask()
        return await super().hash(password)


async def test_a_sign_up_takes_nothing_from_others_while_its_password_is_hashed(ledger):
    """The limit is one registration, and another caller must still be within it meanwhile."""
    limit, hasher = registration_limit(Rate(1, 3_600), None), AskedWhileHashing()
    server = UseCases(ledger, outside=Outside(registrations=limit, hasher=hasher))
    hasher.ask = lambda: limit.check("192.0.2.2")
    await server.sign_up("ada@example.com", "correct horse battery", caller("192.0.2.1"))
    with pytest.raises(TooManyRegistrations):
        limit.check("192.0.2.2")


async def test_a_sign_up_beyond_the_limit_hashes_no_password(ledger):
    limit = registration_limit(Rate(1, 3_600), None)
    registering(limit, "192.0.2.1")
    server = UseCases(ledger, outside=Outside(registrations=limit))
    with pytest.raises(TooManyRegistrations):
        await server.sign_up("ada@example.com", "correct horse battery", caller("192.0.2.1"))
    assert server.hasher.hashed == 0


async def test_sign_up_for_an_existing_account_counts_as_well(ledger):
    server = UseCases(ledger, outside=Outside(registrations=registration_limit(None, Rate(2, 3_600))))
    for _ in range(2):
        await server.sign_up("ada@example.com", "correct horse battery", caller("192.0.2.1"))
    with pytest.raises(TooManyRegistrations):
        await server.sign_up("eve@example.com", "correct horse battery", caller("192.0.2.1"))


async def test_guesses_at_the_current_password_in_a_session_are_bounded(ledger):
    server = UseCases(ledger, outside=Outside(guesses=guess_limit(Rate(2, 3_600), None, None)))
    user_id = await server.open_account("ada@example.com", "correct horse battery", caller(None))
    for _ in range(2):
        with pytest.raises(PasswordWrong):
            await server.change_password(user_id, "wrong", "another password", caller("192.0.2.1"))
    with pytest.raises(TooManyGuesses):
        await server.change_password(
            user_id, "correct horse battery", "another password", caller("192.0.2.1")
        )


async def test_a_client_beyond_the_bound_is_refused_and_not_recorded(ledger):
    server = UseCases(ledger, outside=Outside(registrations=registration_limit(Rate(1, 3_600), None)))
    await server.register_client(REGISTRATION, caller("192.0.2.1"))
    other = replace(REGISTRATION, client_name="Another")
    with nothing_recorded(ledger), pytest.raises(TooManyRegistrations):
        await server.register_client(other, caller("192.0.2.1"))
