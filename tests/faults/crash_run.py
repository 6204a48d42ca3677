"""Kill busy servers again and again, and check after each kill what was answered before it."""

import asyncio
import time
from pathlib import Path

from msgspec import Struct

from faults.disk import Disk
from support.oauth import Person
from support.restartable_server import RestartableServer, restartable_servers
from support.timeouts import TIMEOUT
from support.witness import Witness, contradictions, signed_in, visitor

WORKERS = 6
"""Clients of each server: enough to keep several appends in its queue."""

MOMENT = 60
"""Maximum number of answered requests before a kill. Seconds would depend on the load of the machine."""


class CrashRun(Struct):
    """What a run found. The lists are empty if the promises hold.

    `kills` counts kills under load, `dead_at_start` kills during a start.
    """

    kills: int
    dead_at_start: int
    witness: Witness
    wrong_answers: list[str]
    untruths: list[str]
    contradictions: list[str]

    def __str__(self) -> str:
        witness = self.witness
        return (
            f"{self.kills} kills under load, {self.dead_at_start} at the start: {witness.answered} requests "
            f"were answered, {witness.refused_for_now} refused with 503 and {witness.unanswered} not "
            f"answered; {witness.checked} older answers were checked, {len(self.untruths)} were untrue"
        )


async def crash_repeatedly(
    directory: Path,
    *,
    servers: int,
    kills: int,
    seed: int,
    asked: int,
    disk: Disk | None = None,
    **settings: str,
) -> CrashRun:
    """Kill busy servers `kills` times. After each kill check `asked` earlier answers of each kind.

    Further kills follow until one has interrupted a request; nearly every kill does.
    With a `disk` its power is cut whenever no server runs. `settings` are those of the servers.
    """
    witness = Witness(seed)
    run = CrashRun(0, 0, witness, [], [], [])
    with restartable_servers(
        directory, servers, disk.environment if disk else None, refresh_reuse_window="300", **settings
    ) as hosts:
        await hosts[0].open_account()
        if disk:
            disk.remember()
        hosts[0].start()
        cookies = await signed_in(hosts[0].origin)
        while run.kills < kills or not (witness.unanswered or run.kills >= 20 * kills):
            await _start_all(hosts, run, disk)
            if found := contradictions(hosts[0].ledger):
                run.contradictions += found  # every other failure would follow from it
                return run
            people = [visitor(host.origin, cookies) for host in hosts]
            run.untruths += await witness.untruths(people[0], at_most=asked)
            await _kill_some(hosts, people, run)
            for person in people:
                await person.http.aclose()
        await _start_all(hosts, run, disk)
        last = visitor(hosts[0].origin, cookies)
        async with last.http:
            run.untruths += await witness.untruths(last)
        run.contradictions += contradictions(hosts[0].ledger)
    return run


async def _start_all(hosts: list[RestartableServer], run: CrashRun, disk: Disk | None) -> None:
    """Start the servers that do not run, and kill one in five of them again during the start."""
    dice = run.witness.random

    def power_comes_back() -> None:
        if disk and run.kills and not any(host.is_running for host in hosts):
            disk.cut_power(dice)

    for host in hosts:
        if not host.is_running:
            power_comes_back()
            if dice.random() < 0.2:
                host.launch()
                await asyncio.sleep(dice.uniform(0, 2))
                host.kill()
                run.dead_at_start += 1
                power_comes_back()
            host.start()


async def _kill_some(hosts: list[RestartableServer], people: list[Person], run: CrashRun) -> None:
    """Keep all servers busy, kill some, and check that the others go on."""
    witness = run.witness
    over = asyncio.Event()
    busy = [
        [asyncio.create_task(witness.keep_busy(person, over)) for _ in range(WORKERS)] for person in people
    ]
    if not await _answered(witness, witness.random.randint(1, MOMENT)):
        run.wrong_answers.append(f"no request was answered before kill {run.kills + 1}")
    await asyncio.sleep(witness.random.uniform(0, 0.05))
    victims = witness.random.sample(range(len(hosts)), witness.random.randint(1, len(hosts)))
    for victim in victims:
        hosts[victim].kill()
        run.kills += 1
    ended = await asyncio.gather(
        *(task for victim in victims for task in busy[victim]), return_exceptions=True
    )
    if len(victims) < len(hosts) and not await _answered(witness, 1):
        run.wrong_answers.append(f"no request was answered after kill {run.kills}")
    over.set()
    ended += await asyncio.gather(*(task for tasks in busy for task in tasks), return_exceptions=True)
    run.wrong_answers += [repr(error) for error in ended if error is not None]


async def _answered(witness: Witness, more: int) -> bool:
    """Wait for `more` answered requests, and return whether they came within the timeout."""
    until, give_up = witness.answered + more, time.monotonic() + TIMEOUT
    while witness.answered < until and time.monotonic() < give_up:  # noqa: ASYNC110 - it polls a count
        await asyncio.sleep(0.001)
    return witness.answered >= until
