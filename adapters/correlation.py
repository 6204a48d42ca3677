"""What the lines of one request have in common: its correlation id, which answer and events carry too."""

import secrets
from contextvars import ContextVar

_THIS_RUN = secrets.token_hex(8)
"""Of the lines that belong to no request."""

correlation_id: ContextVar[str] = ContextVar("grantledger_correlation_id", default=_THIS_RUN)
