"""Set the session for code that runs without a guard, such as a server on stdio or a test of a tool."""

from collections.abc import Iterator
from contextlib import contextmanager

from grantledger.adapters.guards.session import verified
from grantledger.application.tokens.mcp_session import McpSession


@contextmanager
def acting_as(session: McpSession | None) -> Iterator[None]:
    """Make `session` the one that `current_session()` returns and that `@requires` checks.

    A server on stdio has no requests with tokens. It can read a token from its environment, get the session
    with `await auth.verify_token(token)`, and run in this block. The session is not verified again, so end
    the process when the session expires (`expires_at`).
    """
    before = verified.set(session)
    try:
        yield
    finally:
        verified.reset(before)
