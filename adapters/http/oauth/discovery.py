"""Discovery documents (RFC 8414, OpenID Connect Discovery, RFC 9728) at every path where clients look."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from litestar import Response

from grantledger.adapters.guards.discovery_paths import (
    AUTHORIZATION_SERVER,
    OPENID_CONFIGURATION,
    PROTECTED_RESOURCE,
    origin_of,
)
from grantledger.adapters.http.better_auth import BetterAuthPaths
from grantledger.adapters.http.responses import AnyRequest, json_answer
from grantledger.application.describe_server import DescribeServer
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import Unavailable
from grantledger.application.resources.catalogue import Catalogue, Offered

_CACHED = {"cache-control": "public, max-age=60"}


class DiscoveryEndpoint:
    """Serves one document for each of its `paths`; all other well-known paths answer 404."""

    def __init__(
        self,
        policy: ServerPolicy,
        describe: DescribeServer,
        catalogue: Catalogue,
        better_auth: Sequence[BetterAuthPaths] = (),
    ) -> None:
        self._describe = describe
        self._catalogue = catalogue
        self._of_server: tuple[Offered, Response[bytes]] | None = None
        base = urlsplit(policy.issuer).path.rstrip("/")
        names = (AUTHORIZATION_SERVER, OPENID_CONFIGURATION)
        of_server = {path for name in names for path in (name, f"{name}{base}", f"{base}{name}")}
        documents = _resource_documents(policy, describe)
        for paths in better_auth:
            documents |= paths.documents(describe)
        # A path that is both Better Auth's and the server's own serves the server's document, which is right
        # for both.
        self._fixed = {
            path: json_answer(document, headers=_CACHED)
            for path, document in documents.items()
            if path not in of_server
        }
        self.paths = sorted({*of_server, *self._fixed})

    async def document(self, request: AnyRequest) -> Response[bytes]:
        found = self._fixed.get(request.scope["path_template"])
        return found if found is not None else await self._server_document()

    async def _server_document(self) -> Response[bytes]:
        try:
            offered = await self._catalogue.all()
        except Unavailable:
            offered = self._catalogue.latest  # so that clients find the endpoints in an outage too
        if self._of_server is None or self._of_server[0] is not offered:
            document = self._describe.authorization_server(offered.resources)
            self._of_server = (offered, json_answer(document, headers=_CACHED))
        return self._of_server[1]


def _resource_documents(policy: ServerPolicy, describe: DescribeServer) -> dict[str, Any]:
    documents: dict[str, Any] = {}
    issuer_origin = origin_of(policy.issuer)
    # A resource on another origin serves its own metadata: clients must reject ours (RFC 9728 section 3.3).
    local = [resource for resource in policy.resources if origin_of(resource.identifier) == issuer_origin]
    # The well-known path without a suffix belongs to a resource without a path. If there is no such resource,
    # it describes the first one.
    if local:
        documents[PROTECTED_RESOURCE] = describe.protected_resource(local[0])
    for resource in local:
        path = urlsplit(resource.identifier).path.rstrip("/")
        documents[f"{PROTECTED_RESOURCE}{path}"] = describe.protected_resource(resource)
    return documents
