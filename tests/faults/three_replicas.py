"""Three replicas behind nginx on one PostgreSQL, under load: any one process is killed, and requests go on.

As a script it prints its figures: `PYTHONPATH=tests python -m faults.three_replicas --rounds 10`.
"""

import argparse
import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
from msgspec import Struct

from support import postgres
from support.nginx import SHIPPED, nginx
from support.oauth import Person
from support.postgres import CrashingServer
from support.restartable_server import RestartableServer, restartable_servers
from support.server import free_port
from support.timeouts import TIMEOUT
from support.witness import Witness, contradictions, signed_in, visitor

WORKERS = 8
"""Clients, which know only the address of nginx."""

BACKEND = "SELECT pid FROM pg_stat_activity WHERE application_name = 'grantledger' LIMIT 1"


class Site(Struct):
    """The processes that can be killed, and the origin to which clients send requests."""

    origin: str
    replicas: list[RestartableServer]
    database: CrashingServer
    directory: Path

    def kill_replica(self, number: int) -> None:
        self.replicas[number].kill()

    def start_replica(self, number: int) -> None:
        self.replicas[number].start()

    def kill_worker_of_nginx(self) -> None:
        """Its master starts another one."""
        master = (self.directory / "nginx.pid").read_text().strip()
        worker = Path(f"/proc/{master}/task/{master}/children").read_text().split()[0]
        os.kill(int(worker), signal.SIGKILL)

    def kill_backend(self) -> None:
        """PostgreSQL then ends all its processes, and recovers."""
        for (pid,) in postgres.rows(self.database.database, BACKEND):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Fault(Struct, frozen=True):
    """A fault of a site, and its repair, which follows a little later if the fault needs one."""

    name: str
    cause: Callable[[Site], None]
    repair: Callable[[Site], None] = lambda _: None


FAULTS = [
    *(
        Fault(
            f"kill of replica {number + 1}",
            lambda site, number=number: site.kill_replica(number),  # type: ignore[misc]
            lambda site, number=number: site.start_replica(number),  # type: ignore[misc]
        )
        for number in range(3)
    ),
    Fault("kill of a worker of nginx", Site.kill_worker_of_nginx),
    Fault("kill of a process of PostgreSQL", Site.kill_backend),
    Fault("crash of PostgreSQL", lambda site: site.database.crash(), lambda site: site.database.start()),
    Fault("restart of PostgreSQL", lambda site: site.database.restart()),
]


class Run(Struct):
    """What was found. The lists are empty if the promises hold; `gaps` are by fault, in seconds."""

    witness: Witness
    gaps: dict[str, list[float]]
    silent_after: list[str]
    wrong_answers: list[str]
    untruths: list[str]
    contradictions: list[str]
    health_from_outside: int

    def __str__(self) -> str:
        witness = self.witness
        counts = (
            f"{witness.answered} requests were answered, {witness.refused_for_now} refused with 503 and "
            f"{witness.unanswered} lost; {witness.checked} times an older answer was checked, "
            f"{len(self.untruths)} were untrue, {len(self.wrong_answers)} answers were wrong"
        )
        gaps = [f"{name}: without an answer for {_shown(gaps)}" for name, gaps in self.gaps.items()]
        return "\n".join([counts, *gaps])


def _shown(gaps: list[float]) -> str:
    return f"{sorted(gaps)[len(gaps) // 2]:.2f} s (median of {len(gaps)}), at most {max(gaps):.2f} s"


@contextmanager
def site(directory: Path) -> Iterator[Site]:
    """Yield a site whose replicas do not run yet."""
    database = CrashingServer()
    port = free_port()
    settings = {"refresh_reuse_window": "300", "trusted_proxies": "127.0.0.1"}
    try:
        with restartable_servers(directory, 3, None, database=database.database, **settings) as made:
            servers = "".join(f" server 127.0.0.1:{each.port};" for each in made)
            configuration = f"upstream replicas {{{servers} }}\n{SHIPPED.read_text()}"
            configuration = configuration.replace(
                "proxy_pass http://127.0.0.1:8000", "proxy_pass http://replicas"
            )
            with nginx(configuration, directory, port=port, server_port=0):
                yield Site(f"https://127.0.0.1:{port}", made, database, directory)
    finally:
        database.end()


async def run_faults(directory: Path, *, rounds: int, seed: int, faults: list[Fault] = FAULTS) -> Run:
    """Cause each fault once in each round, and check after each what was answered before."""
    run = Run(Witness(seed), {fault.name: [] for fault in faults}, [], [], [], [], 0)
    with site(directory) as there:
        await there.replicas[0].open_account()
        for replica in there.replicas:
            replica.start()
        cookies = await signed_in(there.origin)
        for _ in range(rounds):
            for fault in run.witness.random.sample(faults, len(faults)):
                await _cause(there, fault, cookies, run)
        person = visitor(there.origin, cookies)
        async with person.http:
            run.untruths += await run.witness.untruths(person, at_most=20 if rounds == 1 else None)
            run.health_from_outside = (await person.http.get("/health/ready")).status_code
        run.contradictions += contradictions(there.database.database)
    return run


async def _cause(there: Site, fault: Fault, cookies: httpx2.Cookies, run: Run) -> None:
    witness, over = run.witness, asyncio.Event()
    person = visitor(there.origin, cookies)
    person.http.event_hooks["response"].append(_lost_by_nginx)
    async with person.http:
        busy = [asyncio.create_task(_keep_busy(witness, person, over)) for _ in range(WORKERS)]
        await _answered(witness, witness.random.randint(1, 20))
        gap = asyncio.create_task(_longest_gap(witness, over))
        await asyncio.to_thread(fault.cause, there)
        await _answered(witness, witness.random.randint(0, 10), patience=1)
        await asyncio.to_thread(fault.repair, there)
        if not await _answered(witness, 20):
            run.silent_after.append(fault.name)
        over.set()
        run.gaps[fault.name].append(await gap)
        ended = await asyncio.gather(*busy, return_exceptions=True)
        run.wrong_answers += [f"{fault.name}: {error!r}" for error in ended if error is not None]
        run.untruths += await witness.untruths(person, at_most=3)


async def _keep_busy(witness: Witness, person: Person, over: asyncio.Event) -> None:
    """Go on when a request was lost, as clients do."""
    while not over.is_set():
        await witness.keep_busy(person, over)


async def _lost_by_nginx(answer: httpx2.Response) -> None:
    """Treat nginx's own 502 and 504 as a lost answer: the server may have received the request."""
    if answer.status_code in (502, 504):
        raise httpx2.RemoteProtocolError("nginx has lost the server")


async def _longest_gap(witness: Witness, over: asyncio.Event) -> float:
    """Return the longest time without an answered request, until `over`."""
    longest, last, since = 0.0, witness.answered, time.monotonic()
    while not over.is_set():
        await asyncio.sleep(0.005)
        if witness.answered != last:
            last, since = witness.answered, time.monotonic()
        longest = max(longest, time.monotonic() - since)
    return longest


async def _answered(witness: Witness, more: int, patience: float = TIMEOUT) -> bool:
    """Wait for `more` answered requests, and return whether they came."""
    until, give_up = witness.answered + more, time.monotonic() + patience
    while witness.answered < until and time.monotonic() < give_up:  # noqa: ASYNC110 - it polls a count
        await asyncio.sleep(0.001)
    return witness.answered >= until


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="replicas-") as directory:
        run = asyncio.run(run_faults(Path(directory), rounds=given.rounds, seed=given.seed))
    print(f"seed {given.seed}, {given.rounds} rounds: {run}")  # noqa: T201 - that is what it is for
    for found in (*run.silent_after, *run.wrong_answers, *run.untruths, *run.contradictions):
        print(found)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
