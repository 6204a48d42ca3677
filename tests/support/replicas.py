"""Several servers on one database, which act as one authorization server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from support.server import PUBLIC, SERVE, Program, Server, free_port, serving


@contextmanager
def replicas(
    directory: Path, count: int, program: Program = SERVE, /, **settings: str
) -> Iterator[list[Server]]:
    """Run `count` servers of one issuer."""
    ports = [free_port() for _ in range(count)]
    shared = PUBLIC | settings
    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        # The first creates the database; the others start in parallel.
        first = stack.enter_context(serving(directory, program, port=ports[0], **shared))
        starting = [partial(serving, directory, program, port=port, **shared) for port in ports[1:]]
        yield [first, *threads.map(lambda start: stack.enter_context(start()), starting)]
