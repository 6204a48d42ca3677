"""Common passwords: 30,000 from breaches, which the library zxcvbn (MIT) brings along.

Only its list is used. Its estimate of a password's strength takes half a second for 40 chosen characters.
"""

import asyncio
import runpy
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path


class ListedPasswords:
    """`CommonPasswords`. The list is loaded when it is first needed, in a thread: that takes 0.1 s."""

    def __init__(self) -> None:
        self._listed: str | None = None

    async def include(self, passwords: Collection[str]) -> bool:
        if self._listed is None:
            self._listed = await asyncio.to_thread(_loaded)
        listed = self._listed
        return any(f"\n{password}\n" in listed for password in passwords if "\n" not in password)


def _loaded() -> str:
    """Return the passwords with a newline around each: a set of them would take 5 MB, this takes 0.3 MB."""
    # Its file is read without the package, which would keep all its lists in memory: 13 MB.
    package = find_spec("zxcvbn")
    assert package is not None
    assert package.submodule_search_locations is not None
    file = Path(package.submodule_search_locations[0]) / "frequency_lists.py"
    lists: dict[str, list[str]] = runpy.run_path(str(file))["FREQUENCY_LISTS"]
    return "\n".join(["", *lists["passwords"], ""])
