"""Servers on one database, and a user who is signed in at all of them."""

import asyncio
import itertools
import random

import httpx2
from msgspec import Struct

from support.concurrently import FormRequest
from support.oauth import Person
from support.server import Server
from support.stores import asked


class Cluster(Struct, frozen=True):
    """Servers on one database; `people` are the same user at each server, in the order of the servers."""

    servers: list[Server]
    people: list[Person]

    @property
    def ada(self) -> Person:
        return self.people[0]

    async def client(self) -> str:
        """Register a client for one race alone."""
        return str((await self.ada.register())["client_id"])

    def requests(self, count: int, path: str, form: dict[str, str]) -> list[FormRequest]:
        """Return `count` requests, for each server in turn."""
        origins = itertools.cycle([server.origin for server in self.servers])
        return [FormRequest(origin, path, form) for origin in itertools.islice(origins, count)]

    async def sessions(self, access_token: str) -> set[int]:
        """Present the access token at every server and return the statuses."""
        return _statuses(await asyncio.gather(*(p.session(access_token) for p in self.people)))

    async def refreshes(self, client_id: str, refresh_token: str) -> set[int]:
        """Present the refresh token at every server and return the statuses."""
        return _statuses(await asyncio.gather(*(p.refresh(client_id, refresh_token) for p in self.people)))

    def any_person(self) -> Person:
        return random.choice(self.people)

    def recorded(self, client_id: str) -> list[str]:
        """Return the tags of the events that this client caused, in the order of the log."""
        rows = asked(
            self.servers[0].ledger,
            "SELECT tag FROM events WHERE client_id = ? AND actor_kind = 'client' ORDER BY position",
            client_id,
        )
        return [tag for (tag,) in rows]


def _statuses(answers: list[httpx2.Response]) -> set[int]:
    return {answer.status_code for answer in answers}
