from collections.abc import Collection


class FewPasswords:
    """`CommonPasswords` with a short list."""

    async def include(self, passwords: Collection[str]) -> bool:
        return not {"password", "letmein"}.isdisjoint(passwords)
