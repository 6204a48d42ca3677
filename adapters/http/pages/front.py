"""The front page: what this server is, and where its users and developers go from here."""

from litestar import Response

from grantledger.adapters.guards.discovery_paths import AUTHORIZATION_SERVER
from grantledger.adapters.http.pages.parts import PageParts
from grantledger.adapters.http.pages.rendering import FrontPage
from grantledger.adapters.http.pages.responses import account_page
from grantledger.adapters.http.responses import NOT_STORED, AnyRequest, json_answer
from grantledger.application.policy import ServerPolicy

SPECIFICATION = "https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization"
"""The documentation to link to if the operator has set none."""


class FrontEndpoint:
    def __init__(self, parts: PageParts, policy: ServerPolicy) -> None:
        self._parts = parts
        self._policy = policy
        self._links = {
            "issuer": policy.issuer,
            "account": f"{policy.issuer.rstrip('/')}/authorize/account",
            "metadata": f"{policy.issuer.rstrip('/')}{AUTHORIZATION_SERVER}",
            "documentation": policy.documentation or SPECIFICATION,
        }

    async def front(self, request: AnyRequest) -> Response[bytes]:
        """Return the page, or JSON to a client that prefers JSON."""
        if request.accept.best_match(["text/html", "application/json"]) == "application/json":
            return json_answer(self._links, headers={**NOT_STORED, "vary": "accept"})
        html = self._parts.render(
            FrontPage(
                base_path=self._parts.base_path,
                home=self._parts.homes.root.path,
                resource_names=await self._parts.catalogue.names(),
                metadata=self._links["metadata"],
                documentation=self._policy.documentation,
                specification=SPECIFICATION,
            )
        )
        response = account_page(html)
        response.headers["vary"] = "accept"
        return response
