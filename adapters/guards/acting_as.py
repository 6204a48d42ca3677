"""A session for code that no guard is in front of: a server on stdio, and tests of tools."""

from collections.abc import Iterator
from contextlib import contextmanager

from grantledger.adapters.guards.session import verified
from grantledger.application.tokens.mcp_session import McpSession


@contextmanager
def acting_as(session: McpSession | None) -> Iterator[None]:
    """Make `session` the one that `current_session()` returns and that `@requires` checks.

    A server on stdio has no requests with tokens. It can get the session of a token from its environment,
    from `await auth.verify_token(token)`, and run in this block. Nothing verifies the session again, so end
    the process when it expires (`expires_at`).
    """
    before = verified.set(session)
    try:
        yield
    finally:
        verified.reset(before)
