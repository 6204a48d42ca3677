class PlainPasswordHasher:
    """Remembers passwords as they are, and counts how often one was tried."""

    def __init__(self) -> None:
        self.tried = 0

    async def hash(self, password: str) -> str:
        return f"plain {password}"

    async def matches(self, password: str, password_hash: str | None) -> bool:
        self.tried += 1
        return password_hash == f"plain {password}"
