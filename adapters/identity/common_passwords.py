"""Common passwords: 30,000 from breaches, which the library zxcvbn (MIT) brings along.

Only its list is used. Its estimate of a password's strength takes half a second for 40 chosen characters.
"""

import asyncio
from collections.abc import Collection


class ListedPasswords:
    """`CommonPasswords`. The list is loaded when it is first needed, in a thread: that takes 0.1 s."""

    def __init__(self) -> None:
        self._listed: frozenset[str] | None = None

    async def include(self, passwords: Collection[str]) -> bool:
        if self._listed is None:
            self._listed = await asyncio.to_thread(_loaded)
        return not self._listed.isdisjoint(passwords)


def _loaded() -> frozenset[str]:
    from zxcvbn.frequency_lists import (  # type: ignore[import-untyped]  # noqa: PLC0415 - for a fast start
        FREQUENCY_LISTS,
    )

    return frozenset(FREQUENCY_LISTS["passwords"])
