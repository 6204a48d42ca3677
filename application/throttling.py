"""Limits on how often something is tried, for each subject and network."""

from collections.abc import Iterator
from contextlib import contextmanager

from grantledger.application.ports import ProvenPlaces, Throttle
from grantledger.domain.network import network_of
from grantledger.domain.refusal import Refusal


class TooManyRequests(Refusal):
    """Something was done too often; `retry_after` seconds from now there is room for one more."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(f"{detail}; room for one more in {retry_after} s")
        self.retry_after = retry_after


class TooManyGuesses(TooManyRequests):
    """Too many attempts at a password or client secret have failed; the right one is refused as well."""


class TooManyRegistrations(TooManyRequests):
    """Too many clients registered, or people signed up: in all or from one address."""


class GuessLimit:
    """Bounds the guesses at secrets: for one subject from one place, from one place, and for one subject.

    A guess counts before it is tried, so that many at once are as many, and is given back unless it ends in a
    `Refusal`. Who was right from a place is from then on judged by the first of the three bounds alone:
    strangers can use up the others, and must not lock anybody out by that.
    """

    def __init__(
        self, *, here: Throttle, per_place: Throttle, per_subject: Throttle, proven: ProvenPlaces
    ) -> None:
        self._here = here
        self._per_place = per_place
        self._per_subject = per_subject
        self._proven = proven

    @contextmanager
    def guess(self, subject: str, address: str | None) -> Iterator[None]:
        """Try a secret within the block. An `address` of None is unknown: no place is judged.

        `subject` is whom the secret is to prove, there or not: who is not there is throttled all the same.
        Raises `TooManyGuesses`, and what the block raises.
        """
        place = None if address is None else network_of(address)
        taken = self._taken(subject, place)
        try:
            yield
        except Refusal:
            raise
        except BaseException:
            _give_back(taken)  # an outage is nobody's guess
            raise
        _give_back(taken)
        if place is not None:
            self._proven.add(subject, place)

    def _taken(self, subject: str, place: str | None) -> list[tuple[Throttle, tuple[str, ...]]]:
        bounds: list[tuple[Throttle, tuple[str, ...]]] = [(self._here, (subject, place or ""))]
        if place is None or not self._proven.has(subject, place):
            bounds.append((self._per_subject, (subject,)))
            if place is not None:
                bounds.append((self._per_place, (place,)))
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
    """Bounds what strangers can make the ledger remember: in total first, then from one place.

    The services of whole platforms register from a few addresses that all their users share.
    """

    def __init__(self, *, total: Throttle, per_place: Throttle) -> None:
        self._total = total
        self._per_place = per_place

    @contextmanager
    def registration(self, address: str | None) -> Iterator[None]:
        """Record a registration within the block; it does not count when it fails.

        Raises `TooManyRegistrations`, and what the block raises.
        """
        place = None if address is None else network_of(address)
        wait = self._total.take()
        if wait:
            raise TooManyRegistrations("in total", retry_after=wait)
        wait = 0 if place is None else self._per_place.take(place)
        if wait:
            self._total.give_back()
            raise TooManyRegistrations("from one place", retry_after=wait)
        try:
            yield
        except BaseException:
            self._total.give_back()
            if place is not None:
                self._per_place.give_back(place)
            raise
