"""The 30,000 common passwords, known from breaches, of the library zxcvbn (MIT).

Only its list is used. Its estimate of a password's strength is not: an attacker can choose 40 characters that
take it half a second.
"""

import asyncio
import runpy
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path


class ListedPasswords:
    """`CommonPasswords`. The list is loaded on first use, in a thread, because that takes 0.1 s."""

    def __init__(self) -> None:
        self._listed: str | None = None
        self._loading = asyncio.Lock()

    async def include(self, passwords: Collection[str]) -> bool:
        async with self._loading:  # four users who signed up at once left a process with 15 MB more
            if self._listed is None:
                self._listed = await asyncio.to_thread(_loaded)
            listed = self._listed
        return any(f"\n{password}\n" in listed for password in passwords if "\n" not in password)


def _loaded() -> str:
    """Return the passwords as one text with a newline around each: it takes 0.3 MB, a set would take 5 MB."""
    # The file is read without importing the package, which would keep all its lists in memory: 13 MB.
    package = find_spec("zxcvbn")
    assert package is not None
    assert package.submodule_search_locations is not None
    file = Path(package.submodule_search_locations[0]) / "frequency_lists.py"
    lists: dict[str, list[str]] = runpy.run_path(str(file))["FREQUENCY_LISTS"]
    return "\n".join(["", *lists["passwords"], ""])
