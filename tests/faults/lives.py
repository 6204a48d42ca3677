"""A file whose servers are killed again and again while they are busy, and what was found out each time."""

import asyncio
import time
from pathlib import Path

from msgspec import Struct

from faults.disk import Disk
from support.mortal import Mortal, mortals
from support.oauth import Person
from support.patience import PATIENCE
from support.witness import Witness, contradictions, signed_in, visitor

WORKERS = 6
"""For each server, so many that its writer finds several appends waiting."""

MOMENT = 60
"""A kill comes when 1 to so many requests were answered: busy machines take longer, but not less."""


class Lives(Struct):
    """What was found: nothing in any of the lists, if the promises hold.

    `kills` struck servers under load; `dead_at_start` counts those that struck one while it started.
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
            f"were answered, {witness.put_off} put off with 503 and {witness.unanswered} not answered; "
            f"{witness.checked} times an older answer was looked into, {len(self.untruths)} were untrue"
        )


async def lived(
    directory: Path, *, servers: int, kills: int, seed: int, asked: int, disk: Disk | None = None
) -> Lives:
    """Kill busy servers until there were as many kills; after each ask about `asked` answers of each kind.

    With a `disk` its power is cut whenever no server lives any more.
    """
    witness = Witness(seed)
    lives = Lives(0, 0, witness, [], [], [])
    with mortals(directory, servers, disk.environment if disk else None, refresh_reuse_window="300") as hosts:
        await hosts[0].open_account()
        if disk:
            disk.remember()
        hosts[0].start()
        cookies = await signed_in(hosts[0].origin)
        while lives.kills < kills:
            await _everybody_lives(hosts, lives, disk)
            if found := contradictions(hosts[0].database):
                lives.contradictions += found  # and whatever else would be found comes of that
                return lives
            people = [visitor(host.origin, cookies) for host in hosts]
            lives.untruths += await witness.untruths(people[0], at_most=asked)
            await _some_die(hosts, people, lives)
            for person in people:
                await person.http.aclose()
        await _everybody_lives(hosts, lives, disk)
        last = visitor(hosts[0].origin, cookies)
        async with last.http:
            lives.untruths += await witness.untruths(last)
        lives.contradictions += contradictions(hosts[0].database)
    return lives


async def _everybody_lives(hosts: list[Mortal], lives: Lives, disk: Disk | None) -> None:
    """Start whoever does not run; now and then one dies while it starts."""
    dice = lives.witness.random

    def power_comes_back() -> None:
        if disk and lives.kills and not any(host.is_running for host in hosts):
            disk.cut_power(dice)

    for host in hosts:
        if not host.is_running:
            power_comes_back()
            if dice.random() < 0.2:
                host.begin()
                await asyncio.sleep(dice.uniform(0, 2))
                host.kill()
                lives.dead_at_start += 1
                power_comes_back()
            host.start()


async def _some_die(hosts: list[Mortal], people: list[Person], lives: Lives) -> None:
    """Keep all busy, kill some, and see that the others go on."""
    witness = lives.witness
    over = asyncio.Event()
    busy = [
        [asyncio.create_task(witness.keep_busy(person, over)) for _ in range(WORKERS)] for person in people
    ]
    if not await _answered(witness, witness.random.randint(1, MOMENT)):
        lives.wrong_answers.append(f"nobody was answered before kill {lives.kills + 1}")
    await asyncio.sleep(witness.random.uniform(0, 0.05))
    victims = witness.random.sample(range(len(hosts)), witness.random.randint(1, len(hosts)))
    for victim in victims:
        hosts[victim].kill()
        lives.kills += 1
    ended = await asyncio.gather(
        *(task for victim in victims for task in busy[victim]), return_exceptions=True
    )
    if len(victims) < len(hosts) and not await _answered(witness, 1):
        lives.wrong_answers.append(f"nobody was answered any more after kill {lives.kills}")
    over.set()
    ended += await asyncio.gather(*(task for tasks in busy for task in tasks), return_exceptions=True)
    lives.wrong_answers += [repr(error) for error in ended if error is not None]


async def _answered(witness: Witness, more: int) -> bool:
    """Wait until so many more requests were answered; return whether they were, in the end."""
    until, give_up = witness.answered + more, time.monotonic() + PATIENCE
    while witness.answered < until and time.monotonic() < give_up:  # noqa: ASYNC110 - it polls a count
        await asyncio.sleep(0.001)
    return witness.answered >= until
