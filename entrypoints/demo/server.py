"""The server process of the demo: `python -m grantledger.entrypoints.demo.server PORT DIRECTORY`.

It reads one line from standard input, `["e-mail address", "password"]` of the demo user, because other users
can see command lines. The pipe stays open. When the process that started this one ends, even by a kill, the
pipe closes, and this process deletes the directory and ends too.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from grantledger.application.provenance import Caller
from grantledger.entrypoints.cli import collect_rarely
from grantledger.entrypoints.demo.demo_settings import TO_DO_READ, demo_settings
from grantledger.entrypoints.embedded import AuthorizationServer

_CALLER = Caller(correlation_id="demo", operator="demo")


def main(port: int, directory: Path) -> None:
    collect_rarely()
    # Imported only now, because the SDK makes 300,000 objects when it is imported.
    from grantledger.entrypoints.demo.mcp_servers import notes_server, todo_server  # noqa: PLC0415
    from grantledger.entrypoints.demo.mounts import guarded  # noqa: PLC0415

    email, password = json.loads(sys.stdin.readline())
    settings = demo_settings(port, directory)
    threading.Thread(target=_end_with_the_parent, args=(directory,), daemon=True).start()
    server = AuthorizationServer(settings)
    asyncio.run(_open_account(server, email, password))
    todo, notes = (server.guarded_resource(resource.identifier) for resource in settings.resources)
    server.run([guarded(todo_server, todo, TO_DO_READ), guarded(notes_server, notes)])


async def _open_account(server: AuthorizationServer, email: str, password: str) -> None:
    async with server:
        await server.use_cases.open_account(email, password, _CALLER)


def _end_with_the_parent(directory: Path) -> None:
    # Not `sys.stdin.read`: its buffer has a lock, and exit fails while a daemon thread holds that.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    shutil.rmtree(directory, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
