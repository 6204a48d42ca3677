"""Discovery documents (RFC 8414, OpenID Connect Discovery, RFC 9728) at every path where clients look."""

from typing import Any
from urllib.parse import urlsplit

from litestar import Response

from grantledger.adapters.http.responses import AnyRequest, json_answer
from grantledger.application.describe_server import DescribeServer
from grantledger.application.policy import ServerPolicy

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
OPENID_CONFIGURATION = "/.well-known/openid-configuration"
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"

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
    issuer_origin = _origin(policy.issuer)
    # A resource on another origin serves its own metadata: clients must reject ours (RFC 9728 section 3.3).
    local = [resource for resource in policy.resources if _origin(resource.identifier) == issuer_origin]
    # The well-known path without a suffix belongs to a resource without a path. If there is none, it answers
    # for the first resource.
    if local:
        documents[PROTECTED_RESOURCE] = describe.protected_resource(local[0])
    for resource in local:
        path = urlsplit(resource.identifier).path.rstrip("/")
        documents[f"{PROTECTED_RESOURCE}{path}"] = describe.protected_resource(resource)
    return documents


def resource_metadata_url(identifier: str) -> str:
    """Return the address of the metadata of a resource (RFC 9728 section 3.1)."""
    path = urlsplit(identifier).path.rstrip("/")
    return f"{_origin(identifier)}{PROTECTED_RESOURCE}{path}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"
