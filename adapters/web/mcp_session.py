"""`get_mcp_session`: the session of a request, for programs that serve MCP in this process."""

from collections.abc import Mapping

from grantledger.adapters.web.bearer import AuthorizationMalformed, bearer_token
from grantledger.application.look_up_session import LookUpSession, McpSession
from grantledger.domain.refusal import Refusal


class GetMcpSession:
    def __init__(self, look_up_session: LookUpSession) -> None:
        self._look_up_session = look_up_session

    async def __call__(self, headers: Mapping[str, str], *, resource: str | None = None) -> McpSession | None:
        """Return who the request's access token speaks for, None for none or one that is refused.

        Only the Authorization header is read. Raises `Unavailable` when nothing can be said.
        """
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        try:
            token = bearer_token(raw)
            return await self._look_up_session(token, resource=resource) if token else None
        except (AuthorizationMalformed, Refusal):
            return None
