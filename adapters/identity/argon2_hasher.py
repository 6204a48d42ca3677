"""Password hashing with argon2id (RFC 9106)."""

import asyncio
import base64
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from grantledger.application.ports import Unavailable
from grantledger.domain.password import PasswordTooLong, is_too_long, password_bytes

T = TypeVar("T")


class Argon2Hasher:
    """Hashes in threads, so that the event loop is never blocked by a password.

    A hash takes 64 MiB and about 0.1 s of one core. Its parameters are the library's defaults, which are the
    second recommended option of RFC 9106. When `most_queued` passwords are queued, the next one raises
    `Unavailable`.
    """

    def __init__(self, *, workers: int = 2, most_queued: int = 32) -> None:
        self._argon2 = PasswordHasher()
        self._unmatched = unmatched_hash(self._argon2)
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._room = threading.Semaphore(workers + most_queued)
        self.open()

    def open(self) -> None:
        """Start, or start again after `close`."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="password")

    async def hash(self, password: str) -> str:
        """Raises `PasswordTooLong` or `Unavailable`."""
        secret = _prepared(password)
        if secret is None:
            raise PasswordTooLong
        return await self._off_the_loop(lambda: self._argon2.hash(secret))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Raises `Unavailable`. A password that is too long to be hashed is wrong."""
        secret = _prepared(password)
        if secret is None:
            return False
        return await self._off_the_loop(lambda: self._verifies(secret, password_hash))

    def is_outdated(self, password_hash: str) -> bool:
        return self._argon2.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Finish the queue and end the threads. Until the next `open`, calls raise `Unavailable`."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _verifies(self, secret: bytes, password_hash: str | None) -> bool:
        try:
            self._argon2.verify(self._unmatched if password_hash is None else password_hash, secret)
        except VerifyMismatchError:
            return False
        return True

    async def _off_the_loop(self, work: Callable[[], T]) -> T:
        if self._pool is None:
            raise Unavailable("password hashing is closed")
        if not self._room.acquire(blocking=False):
            raise Unavailable("too many passwords are queued")
        future = self._pool.submit(work)
        # Released only when the hashing ends: if the caller is cancelled before, the thread is still busy.
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)


def _prepared(password: str) -> bytes | None:
    """Return the bytes to hash, or None if the password is too long."""
    return None if is_too_long(password) else password_bytes(password)


def unmatched_hash(argon2: PasswordHasher) -> str:
    """Return a hash that no password matches, and that takes as long to verify as any other."""
    cost = f"m={argon2.memory_cost},t={argon2.time_cost},p={argon2.parallelism}"
    random_bytes = (secrets.token_bytes(length) for length in (argon2.salt_len, argon2.hash_len))
    salt, digest = (base64.b64encode(raw).rstrip(b"=").decode() for raw in random_bytes)
    return f"$argon2id$v=19${cost}${salt}${digest}"
