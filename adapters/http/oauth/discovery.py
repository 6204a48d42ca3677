"""Discovery documents (RFC 8414, OpenID Connect Discovery, RFC 9728) at every path where clients look."""

from typing import Any
from urllib.parse import urlsplit

from litestar import Response

from grantledger.adapters.guards.discovery_paths import (
    AUTHORIZATION_SERVER,
    OPENID_CONFIGURATION,
    PROTECTED_RESOURCE,
    origin_of,
)
from grantledger.adapters.http.responses import AnyRequest, json_answer
from grantledger.application.describe_server import DescribeServer
from grantledger.application.policy import ServerPolicy

_CACHED = {"cache-control": "public, max-age=60"}


class DiscoveryEndpoint:
    """Serves one document for each of its `paths`; all other well-known paths answer 404."""

    def __init__(self, policy: ServerPolicy, describe: DescribeServer) -> None:
        self._responses = {
            path: json_answer(document, headers=_CACHED)
            for path, document in _documents(policy, describe).items()
        }
        self.paths = list(self._responses)

    async def document(self, request: AnyRequest) -> Response[bytes]:
        return self._responses[request.scope["path_template"]]


def _documents(policy: ServerPolicy, describe: DescribeServer) -> dict[str, Any]:
    server = describe.authorization_server()
    base = urlsplit(policy.issuer).path.rstrip("/")
    documents: dict[str, Any] = {}
    for name in (AUTHORIZATION_SERVER, OPENID_CONFIGURATION):
        documents |= dict.fromkeys((name, f"{name}{base}", f"{base}{name}"), server)
    issuer_origin = origin_of(policy.issuer)
    # A resource on another origin serves its own metadata: clients must reject ours (RFC 9728 section 3.3).
    local = [resource for resource in policy.resources if origin_of(resource.identifier) == issuer_origin]
    # The well-known path without a suffix belongs to a resource without a path. If there is none, it answers
    # for the first resource.
    if local:
        documents[PROTECTED_RESOURCE] = describe.protected_resource(local[0])
    for resource in local:
        path = urlsplit(resource.identifier).path.rstrip("/")
        documents[f"{PROTECTED_RESOURCE}{path}"] = describe.protected_resource(resource)
    return documents
