from collections.abc import Iterator
from contextlib import contextmanager

from grantledger.application.neighbourhood import neighbourhood
from grantledger.application.ports import Throttle
from grantledger.application.too_many_requests import TooManyRegistrations


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
        place = None if address is None else neighbourhood(address)
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
