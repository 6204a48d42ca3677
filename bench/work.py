"""The operations: what one request, or one flow of them, is made of and needs beforehand."""

import random
from collections import deque
from collections.abc import Awaitable, Callable

from bench.browser import Browser
from bench.connection import Connection
from bench.pool import Pool
from bench.target import Client, Target, User

OPERATIONS = ("register", "authorize", "token", "session", "refresh", "flow")


class Grant:
    """The tokens of one grant; the refresh token is replaced at each use."""

    def __init__(self, client: Client, tokens: dict[str, str]) -> None:
        self.client = client
        self.access_token = tokens["access_token"]
        self.refresh_token = tokens["refresh_token"]


class Work:
    """One target with the clients, users and grants that its operations work on.

    There are as many users and clients as connections, so that no user does two things at once.
    """

    def __init__(self, target: Target, pairs: int) -> None:
        self.target = target
        self.pairs = pairs
        self.pool = Pool(target.port)
        self.users: list[User] = []
        self._codes: list[tuple[Client, str]] = []
        self._serial = 0

    async def set_up(self) -> None:
        """Register clients, sign users in, let each allow a client, and open the grants."""
        target = self.target
        self.users = [User(number, Browser(target.origin)) for number in range(self.pairs)]
        await self.pool.run(1, 1, lambda connection, _: target.discover(connection))
        self.clients = await self.pool.run(self.pairs, 16, lambda connection, _: target.register(connection))

        async def sign_in(connection: Connection, number: int) -> None:
            await target.sign_in(connection, self.users[number], self.clients[number])

        await self.pool.run(self.pairs, 4, sign_in)
        self._looked_up = await self.grants(4 * self.pairs)
        self._refreshed = deque(await self.grants(4 * self.pairs))

    async def grants(self, count: int) -> list[Grant]:
        """Open new grants."""
        return await self.pool.run(count, 16, lambda connection, _: self.grant(connection))

    async def use_new_grants(self, count: int) -> None:
        """Open `count` grants, on which the operations then work instead of the first ones."""
        sample = await self.grants(count)
        random.Random(count).shuffle(sample)
        self._looked_up, self._refreshed = sample[: count // 2], deque(sample[count // 2 :])

    async def grant(self, connection: Connection) -> Grant:
        user, client = self._pair()
        code = await self.target.authorize(connection, user, client)
        return Grant(client, await self.target.exchange(connection, client, code))

    async def before(self, operation: str, count: int) -> None:
        """Make what a round of `count` operations uses up, before its time begins to count."""
        if operation == "token":
            self._codes = await self.pool.run(count, 16, lambda connection, _: self._code(connection))

    def operation(self, name: str) -> Callable[[Connection, int], Awaitable[object]]:
        run: Callable[[Connection, int], Awaitable[object]] = getattr(self, f"_{name}")
        return run

    async def _code(self, connection: Connection) -> tuple[Client, str]:
        user, client = self._pair()
        return client, await self.target.authorize(connection, user, client)

    async def _register(self, connection: Connection, _: int) -> None:
        await self.target.register(connection)

    async def _authorize(self, connection: Connection, _: int) -> None:
        await self._code(connection)

    async def _token(self, connection: Connection, _: int) -> None:
        client, code = self._codes.pop()
        await self.target.exchange(connection, client, code)

    async def _session(self, connection: Connection, number: int) -> None:
        await self.target.session(connection, self._looked_up[number % len(self._looked_up)].access_token)

    async def _refresh(self, connection: Connection, _: int) -> None:
        # First in, first out, so that no refresh token is used twice.
        grant = self._refreshed.popleft()
        await self.refresh(connection, grant)
        self._refreshed.append(grant)

    async def refresh(self, connection: Connection, grant: Grant) -> None:
        tokens = await self.target.refresh(connection, grant.client, grant.refresh_token)
        grant.access_token = tokens["access_token"]
        grant.refresh_token = tokens.get("refresh_token", grant.refresh_token)

    async def _flow(self, connection: Connection, number: int) -> None:
        """A signed-in user allows a new client, which then gets, uses, refreshes and revokes its tokens."""
        target, user = self.target, self.users[number % self.pairs]
        client = await target.register(connection)
        code = await target.authorize(connection, user, client)
        grant = Grant(client, await target.exchange(connection, client, code))
        await target.session(connection, grant.access_token)
        await self.refresh(connection, grant)
        await target.revoke(connection, client, grant.refresh_token)

    def _pair(self) -> tuple[User, Client]:
        self._serial += 1
        number = self._serial % self.pairs
        return self.users[number], self.clients[number]
