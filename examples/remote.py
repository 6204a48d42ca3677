"""Where the issuer of the remote examples is, and where they listen.

Start the issuer first, in another terminal, with an account to sign in with:

    export GRANTLEDGER_RESOURCES='[{"identifier": "http://127.0.0.1:9000/mcp"}]'
    grantledger user add ada@example.com
    grantledger serve
"""

import os
from urllib.parse import urlsplit

ISSUER = os.environ.get("GRANTLEDGER_ISSUER", "http://127.0.0.1:8000")
RESOURCE = os.environ.get("GRANTLEDGER_RESOURCE", "http://127.0.0.1:9000/mcp")
PORT = urlsplit(RESOURCE).port or 9000
