"""The server process of the demo: `python -m grantledger.entrypoints.demo.server PORT DIRECTORY`.

It reads one line from standard input, `["e-mail address", "password"]` of the demo user, because other users
can see command lines. The pipe stays open. When the process that started this one ends, even by a kill, the
pipe closes, and this process deletes the directory and ends too.
"""

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container
from grantledger.entrypoints.demo.demo_settings import demo_settings
from grantledger.entrypoints.demo.mcp_servers import notes_server, todo_server
from grantledger.entrypoints.demo.mounts import guarded
from grantledger.entrypoints.server import http_layer, run, server_open

_CALLER = Caller(correlation_id="demo", operator="demo")


def main(port: int, directory: Path) -> None:
    email, password = json.loads(sys.stdin.readline())
    settings = demo_settings(port, directory)
    threading.Thread(target=_end_with_the_parent, args=(directory,), daemon=True).start()
    container = Container(settings)
    policy, verify = container.settings.policy, container.use_cases().look_up_session
    mounts = [
        guarded(make_server, resource, issuer=policy.issuer, verify=verify)
        for make_server, resource in zip((todo_server, notes_server), policy.resources, strict=True)
    ]
    lifespan = partial(_open, container, email, password)
    run(http_layer(container).app(lifespan=lifespan, mounts=mounts), settings)


@asynccontextmanager
async def _open(container: Container, email: str, password: str) -> AsyncIterator[None]:
    async with server_open(container):
        await container.use_cases().open_account(email, password, _CALLER)
        yield


def _end_with_the_parent(directory: Path) -> None:
    while os.read(sys.stdin.fileno(), 1024):  # unbuffered: a lock held here would outlive the interpreter
        pass
    shutil.rmtree(directory, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
