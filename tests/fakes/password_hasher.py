class PlainPasswordHasher:
    """Remembers passwords as they are, and counts how often one was tried or hashed."""

    def __init__(self) -> None:
        self.tried = 0
        self.hashed = 0
        self.parameters = "plain"

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return f"{self.parameters} {password}"

    def is_outdated(self, password_hash: str) -> bool:
        return not password_hash.startswith(self.parameters)

    async def matches(self, password: str, password_hash: str | None) -> bool:
        self.tried += 1
        return password_hash is not None and password_hash.partition(" ")[2] == password
