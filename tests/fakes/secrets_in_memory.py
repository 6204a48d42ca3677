"""Master secrets, and what is sealed under them, as far as use cases see it: by key id."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from grantledger.application.keys.master_secrets import LiveTokens


class MemorySecretKeeper:
    def __init__(self, *key_ids: str) -> None:
        self._key_ids = list(key_ids)

    async def key_ids(self) -> Sequence[str]:
        return tuple(self._key_ids)

    async def add(self) -> str:
        self._key_ids.append(f"secret-{len(self._key_ids) + 1}")
        return self._key_ids[-1]

    async def put_first(self, key_id: str) -> None:
        self._key_ids.sort(key=lambda one: one != key_id)

    async def remove(self, key_id: str) -> None:
        self._key_ids = [one for one in self._key_ids if one != key_id]


class CountedRecords:
    """A number of private records by key id, resealed a few at a time."""

    def __init__(self, **under: int) -> None:
        self.under = under

    async def counts(self) -> Mapping[str, int]:
        return {key_id: count for key_id, count in self.under.items() if count}

    async def reseal(self, key_id: str) -> AsyncIterator[int]:
        for other in [other for other in self.under if other != key_id]:
            while self.under[other]:
                batch = min(2, self.under[other])
                self.under[other] -= batch
                self.under[key_id] = self.under.get(key_id, 0) + batch
                yield batch


class GivenTokens:
    """Live tokens that the test decides on."""

    def __init__(self, **live: LiveTokens) -> None:
        self.lives = live

    async def live(self, *, now: int, progress: Callable[[int, int], None]) -> Mapping[str, LiveTokens]:
        progress(1, 1)
        return {key_id: one for key_id, one in self.lives.items() if one.until > now}
