"""Identical registrations at once are one client, whichever servers they reach."""

import asyncio

from races.cluster import Cluster
from support.overtaken import overtaken

REGISTRATIONS = 20


async def test_identical_registrations_at_once_are_recorded_once(cluster: Cluster, rounds: int) -> None:
    """Fails now and then if a registration takes the client of another one for a finished stream."""
    for number in range(rounds * 10):  # one takes 50 ms
        metadata = {"client_name": f"At once {number}"}
        people = [cluster.any_person() for _ in range(REGISTRATIONS)]
        clients = await asyncio.gather(*(person.register(**metadata) for person in people))
        (client_id,) = {client["client_id"] for client in clients}
        assert cluster.recorded(client_id) == ["client.registered.v1"]
    assert overtaken(cluster.servers[0].ledger) == []
