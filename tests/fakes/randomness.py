import base64


class CountingRandomness:
    """Tokens of the length and the characters of real ones: 1, 2, 3 and so on in `size` bytes."""

    def __init__(self) -> None:
        self.drawn = 0

    def token(self, prefix: str = "", *, size: int = 32) -> str:
        self.drawn += 1
        raw = self.drawn.to_bytes(size, "big")
        return prefix + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def new_id(self) -> str:
        return self.token(size=16)
