"""Following the log while it grows, whichever process writes it."""

from collections import deque
from collections.abc import Sequence
from threading import Event

from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription

PAGE = 500


class PollingSubscription(Subscription[ApplicationRecorder]):
    """Yields what is recorded after `gt`, in order, and waits for more until it is stopped.

    It asks again every 20 ms, 20 us a time, which finds the events of other processes as well.
    """

    def __init__(self, recorder: ApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._waiting: deque[Notification] = deque()
        self._stopped = Event()

    def stop(self) -> None:
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            if self._waiting:
                return self._waiting.popleft()
            page = self._recorder.select_notifications(
                self._last_notification_id, PAGE, topics=self._topics, inclusive_of_start=False
            )
            self._waiting.extend(page)
            if page:
                self._last_notification_id = page[-1].id
            else:
                self._stopped.wait(0.02)
        raise StopIteration
