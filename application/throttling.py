"""Limits on how often something is tried, per subject and per network."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from grantledger.application.ports import KnownNetworks, Throttle
from grantledger.domain.network import network_of, site_of
from grantledger.domain.refusal import Refusal


class TooManyRequests(Refusal):
    """Something was done too often. It may be tried again in `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(f"{detail}; try again in {retry_after} s")
        self.retry_after = retry_after


class TooManyGuesses(TooManyRequests):
    """Too many attempts at a password or secret have failed. Now even the right one is refused."""


class TooManyRegistrations(TooManyRequests):
    """Too many clients or users registered, in total or from one network."""


class TooManyActions(TooManyRequests):
    """A client or user that is authenticated has done something too often."""


class ActionLimit:
    """Limits how often authenticated callers do one thing: `inner` per key, `outer` per group of keys.

    Without such a limit, one account or one app could fill the ledger.
    """

    def __init__(self, name: str, *, inner: Throttle, outer: Throttle) -> None:
        self._name = name
        self._inner = inner
        self._outer = outer

    @contextmanager
    def counted(self, key: str, *, within: str | None = None) -> Iterator[None]:
        """Count what the block does, for `key` and for its group `within`. It does not count if it raises.

        Raises `TooManyActions`, and what the block raises.
        """
        taken: list[tuple[Throttle, tuple[str, ...]]] = []
        inner = (self._inner, (key, within or ""))
        for throttle, parts in (inner, (self._outer, (within,))) if within is not None else (inner,):
            wait = throttle.take(*parts)
            if wait:
                _give_back(taken)
                raise TooManyActions(f"too many {self._name}", retry_after=wait)
            taken.append((throttle, parts))
        try:
            yield
        except BaseException:
            _give_back(taken)
            raise


class GuessLimit:
    """Bounds wrong guesses at secrets: per subject and network, per network, and per subject.

    Each attempt takes a token of every bound first, so that parallel attempts count, and returns them unless
    the secret was wrong. For a network from which the subject has shown the right secret, only the first
    bound counts: otherwise an attacker could lock a user out by using up the other two.

    `most_waiting` limits how many checks of one subject may wait at one time: hashing a password takes 0.1 s,
    and one account must not fill the queue that all accounts share.
    """

    def __init__(
        self,
        *,
        per_subject_and_network: Throttle,
        per_network: Throttle,
        per_subject: Throttle,
        known_networks: KnownNetworks,
        most_waiting: int | None = None,
    ) -> None:
        self._per_subject_and_network = per_subject_and_network
        self._per_network = per_network
        self._per_subject = per_subject
        self._known_networks = known_networks
        self._most_waiting = most_waiting
        self._waiting: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many subjects have checks that wait or run."""
        return len(self._waiting)

    @contextmanager
    def guess(self, subject: str, address: str | None, device: str | None = None) -> Iterator[None]:
        """Check a secret within the block. If `address` is None (unknown), no bound per network counts.

        `subject` is the user or client whose secret is checked. A name that does not exist is throttled too.
        A `device` that has shown the right secret before has a count of its own, which others cannot use up.
        Raises `TooManyGuesses`, and what the block raises.
        """
        network = None if address is None else network_of(address)
        if (
            device is None
            and self._most_waiting is not None
            and self._waiting.get(subject, 0) >= self._most_waiting
        ):
            raise TooManyGuesses("too many checks of one account are waiting", retry_after=1)
        taken = self._take_for_device(subject, device) or self._take(subject, network)
        self._waiting[subject] += 1
        try:
            yield
        except TooManyRequests:
            _give_back(taken)  # another limit says nothing about the secret
            raise
        except Refusal:
            raise
        except BaseException:
            _give_back(taken)  # an outage says nothing about the secret
            raise
        finally:
            self._waiting[subject] -= 1
            if not self._waiting[subject]:
                del self._waiting[subject]  # no entry for a subject without checks
        _give_back(taken)
        if network is not None:
            self._known_networks.add(subject, network)

    def _take_for_device(self, subject: str, device: str | None) -> list[tuple[Throttle, tuple[str, ...]]]:
        """Take a token from the count of a known device. Return it, or nothing if that count is used up."""
        key = (subject, f"device {device}")
        if device is None or self._per_subject_and_network.take(*key):
            return []
        return [(self._per_subject_and_network, key)]

    def _take(self, subject: str, network: str | None) -> list[tuple[Throttle, tuple[str, ...]]]:
        bounds: list[tuple[Throttle, tuple[str, ...]]] = [
            (self._per_subject_and_network, (subject, network or ""))
        ]
        if network is None or not self._known_networks.has(subject, network):
            bounds.append((self._per_subject, (subject,)))
            if network is not None:
                bounds.append((self._per_network, (network,)))
        taken: list[tuple[Throttle, tuple[str, ...]]] = []
        for throttle, key in bounds:
            wait = throttle.take(*key)
            if wait:
                _give_back(taken)
                raise TooManyGuesses(f"bound {len(taken) + 1} of {len(bounds)}", retry_after=wait)
            taken.append((throttle, key))
        return taken


def _give_back(taken: list[tuple[Throttle, tuple[str, ...]]]) -> None:
    for throttle, key in taken:
        throttle.give_back(*key)


class RegistrationLimit:
    """Bounds how much unauthenticated callers can add to the ledger: in total, then per network.

    Hosted MCP clients register from a few addresses that all their users share. When the total is used up, a
    site that registered nothing lately may still take from `reserve`: `first_of_site` has one token for each
    site, so that no caller alone can stop the registrations of all others.
    """

    def __init__(
        self, *, total: Throttle, reserve: Throttle, first_of_site: Throttle, per_network: Throttle
    ) -> None:
        self._total = total
        self._reserve = reserve
        self._first_of_site = first_of_site
        self._per_network = per_network

    def check(self, address: str | None) -> None:
        """Raise `TooManyRegistrations` if `registration` would raise it now. Takes no token."""
        _give_back(self._take(address))

    @contextmanager
    def registration(self, address: str | None) -> Iterator[None]:
        """Take the tokens of a registration. The block should do nothing but record the registration.

        If the block raises, the tokens are returned.

        Raises `TooManyRegistrations`, and what the block raises.
        """
        taken = self._take(address)
        try:
            yield
        except BaseException:
            _give_back(taken)
            raise

    def _take(self, address: str | None) -> list[tuple[Throttle, tuple[str, ...]]]:
        taken: list[tuple[Throttle, tuple[str, ...]]] = []
        if address is not None:
            key = (network_of(address),)
            wait = self._per_network.take(*key)
            if wait:
                raise TooManyRegistrations("from one network", retry_after=wait)
            taken.append((self._per_network, key))
            # Every registration takes this token, so that a site which has registered something cannot use
            # the reserve.
            site = (site_of(address),)
            is_first = not self._first_of_site.take(*site)
            if is_first:
                taken.append((self._first_of_site, site))
        else:
            is_first = False
        wait = self._total.take()
        if not wait:
            return [*taken, (self._total, ())]
        if is_first and not self._reserve.take():
            return [*taken, (self._reserve, ())]
        _give_back(taken)
        raise TooManyRegistrations("in total", retry_after=wait)
