"""How large a request may be, in bytes, and how long it may take, in seconds.

`domain/limits.py` has the limits of single values. docs/limits.md lists all.
"""

MAX_HEAD = 32 * 1024
"""The request target and all headers together: 431."""

MAX_BODY = 64 * 1024
"""A body: 413."""

MAX_CALL_BODY = 4 * 1024 * 1024
"""A body that a guard with rules reads: 413. The `mcp` SDK has the same limit."""

MAX_CALLS = 100
"""The messages of a batch, and the resources to listen to, in a body that a guard with rules reads: 413."""

MAX_CALL_NAME = 8 * 1024
"""Characters of a method, of the name of a tool or prompt, or of a URI of a resource in such a body: 413."""

MAX_PARAMETER = 8 * 1024
"""Each name and each value, decoded: 400."""

MAX_PARAMETERS = 64
MAX_RESOURCES = 8

MAX_FORM_QUERY = 3 * 1024
"""A posted authorization request as a query. It must fit into the 4 KiB that nginx keeps for all headers."""

MAX_DISCARDED = 1024 * 1024
"""How much of a body is read and discarded after the response. Then the connection is closed."""

HEAD_TIMEOUT = 10
"""From the connection, or the first byte of a further request, to the end of the head: 408."""

BODY_TIMEOUT = 20
"""From the end of the head to the end of the body: 408."""

ANSWER_TIMEOUT = 20
"""How long a client may leave response data unread before the connection is aborted."""
