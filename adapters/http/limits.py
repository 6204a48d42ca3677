"""How large a request may be, and how long it may take to arrive. In bytes and seconds.

`domain/limits.py` has those of single values, and docs/limits.md tells them all.
"""

MAX_HEAD = 32 * 1024
"""Of the request target and all header lines together: 431."""

MAX_BODY = 64 * 1024
"""413."""

MAX_PARAMETER = 8 * 1024
"""Of each name and each value, decoded: 400."""

MAX_PARAMETERS = 64
MAX_RESOURCES = 8

MAX_DISCARDED = 1024 * 1024
"""What is read, and thrown away, of a body that was answered already; then the connection is closed."""

HEAD_TIMEOUT = 10
"""From the connection, or the first byte of a further request, to the end of the head: 408."""

BODY_TIMEOUT = 20
"""From the end of the head to the end of the body: 408."""

ANSWER_TIMEOUT = 20
"""In which a client begins to take what waits for it: then the connection is cut."""
