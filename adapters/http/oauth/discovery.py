"""Discovery documents (RFC 8414, OpenID Connect Discovery, RFC 9728) wherever clients look for them."""

from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.http.answers import json_answer
from grantledger.application.describe_server import DescribeServer
from grantledger.application.policy import ServerPolicy

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
OPENID_CONFIGURATION = "/.well-known/openid-configuration"
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"

_BRIEFLY = {"cache-control": "public, max-age=60"}


def discovery_endpoints(policy: ServerPolicy, describe: DescribeServer) -> list[HTTPRouteHandler]:
    """Every document at every path that some client probes; all other well-known paths answer 404."""
    server = describe.authorization_server()
    base = urlsplit(policy.issuer).path.rstrip("/")
    documents: dict[str, Any] = {}
    for name in (AUTHORIZATION_SERVER, OPENID_CONFIGURATION):
        documents |= dict.fromkeys((name, f"{name}{base}", f"{base}{name}"), server)
    ours = _origin(policy.issuer)
    # A resource on another origin describes itself there: here nobody may believe it (RFC 9728 section 3.3).
    local = [resource for resource in policy.resources if _origin(resource.identifier) == ours]
    for resource in reversed(local):
        document = describe.protected_resource(resource)
        path = urlsplit(resource.identifier).path.rstrip("/")
        documents |= {f"{PROTECTED_RESOURCE}{path}": document, PROTECTED_RESOURCE: document}
    return [_endpoint(path, document) for path, document in documents.items()]


def resource_metadata_url(identifier: str) -> str:
    """Return where the metadata of a resource lies: path-inserted (RFC 9728 section 3.1)."""
    path = urlsplit(identifier).path.rstrip("/")
    return f"{_origin(identifier)}{PROTECTED_RESOURCE}{path}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def _endpoint(path: str, document: Any) -> HTTPRouteHandler:
    answer = json_answer(document, headers=_BRIEFLY)

    @get(path)
    async def metadata() -> Response[bytes]:
        return answer

    return metadata
