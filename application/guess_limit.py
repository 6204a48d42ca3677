from collections.abc import Iterator
from contextlib import contextmanager

from grantledger.application.neighbourhood import neighbourhood
from grantledger.application.ports import ProvenPlaces, Throttle
from grantledger.application.too_many_requests import TooManyGuesses
from grantledger.domain.refusal import Refusal


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
        place = None if address is None else neighbourhood(address)
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
