"""What the remote examples share: their own URL, and the URL of their authorization server.

Start that server in another terminal: `python examples/issuer.py`.
"""

import os
from urllib.parse import urlsplit

ISSUER = os.environ.get("EXAMPLE_ISSUER", "http://127.0.0.1:8000")
RESOURCE = os.environ.get("EXAMPLE_RESOURCE", "http://127.0.0.1:9000/mcp")
PORT = int(os.environ.get("EXAMPLE_PORT") or urlsplit(RESOURCE).port or 9000)
"""Where the program listens: behind a proxy, another port than clients use."""


def print_next_step() -> None:
    print(f"Start the authorization server at {ISSUER} in another terminal: python examples/issuer.py")
    print(f"Connect an MCP client to {RESOURCE}", flush=True)
