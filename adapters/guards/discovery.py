"""Discovery documents of an MCP server: those of the resource, and copies of those of the issuer.

Some clients look for the issuer's metadata at the MCP server.
"""

import logging

import msgspec

from grantledger.adapters.asgi_types import Headers, Receive, Scope, Send
from grantledger.adapters.guards.cors import Cors
from grantledger.adapters.guards.discovery_paths import (
    AUTHORIZATION_SERVER,
    OPENID_CONFIGURATION,
    PROTECTED_RESOURCE,
    origin_of,
    path_of,
)
from grantledger.adapters.guards.source import GuardedResource, IssuerDocument
from grantledger.adapters.http.errors import (
    PlainResponse,
    json_response,
    status_response,
    unavailable_response,
)
from grantledger.application.describe_server import ProtectedResourceMetadata
from grantledger.application.ports import Unavailable

_log = logging.getLogger(__name__)

MAX_AGE = 60
"""Seconds for which clients may keep a document."""

_CACHED: Headers = [(b"cache-control", b"public, max-age=%d" % MAX_AGE)]
_PATHS: dict[str, IssuerDocument] = {
    AUTHORIZATION_SERVER: "oauth-authorization-server",
    OPENID_CONFIGURATION: "openid-configuration",
}


class Discovery:
    """The documents of one resource, at every path where clients look.

    For a resource with the path `/mcp` these are `/.well-known/NAME` and `/.well-known/NAME/mcp`, and for the
    issuer's documents also `/mcp/.well-known/NAME`. A slash at the end makes no difference.
    """

    def __init__(self, guarded: GuardedResource) -> None:
        self._issuer_metadata = guarded.issuer_metadata
        metadata = ProtectedResourceMetadata(
            resource=guarded.identifier,
            authorization_servers=(guarded.issuer,),
            bearer_methods_supported=("header",),
            scopes_supported=guarded.scopes,
            resource_name=guarded.name,
        )
        self._resource = json_response(200, msgspec.to_builtins(metadata), _CACHED)
        self._cors = Cors(guarded.allowed_origin, own_origin=origin_of(guarded.identifier))
        path = path_of(guarded.identifier)
        self._at: dict[str, IssuerDocument | None] = dict.fromkeys(
            (PROTECTED_RESOURCE, f"{PROTECTED_RESOURCE}{path}")
        )
        for root, document in _PATHS.items():
            self._at |= dict.fromkeys((root, f"{root}{path}", f"{path}{root}"), document)

    @property
    def paths(self) -> list[str]:
        return list(self._at)

    @property
    def paths_of_resource(self) -> list[str]:
        return [path for path, document in self._at.items() if document is None]

    @property
    def paths_of_issuer(self) -> list[str]:
        return [path for path, document in self._at.items() if document is not None]

    def is_at(self, path: str) -> bool:
        """Whether a document is at this path."""
        return "/.well-known/" in path and path.rstrip("/") in self._at

    async def response(self, path: str, method: str) -> PlainResponse:
        """Return the document at `path`, for which `is_at` is true."""
        return await self._document(self._at[path.rstrip("/")], method)

    async def of_resource(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer every HTTP request with the metadata of the resource: an ASGI application."""
        await self._send(None, scope, send)

    async def of_issuer(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer every HTTP request with the metadata of the issuer: an ASGI application.

        The path of the request selects one of the two documents.
        """
        is_openid = "/openid-configuration" in scope.get("path", "")
        await self._send("openid-configuration" if is_openid else "oauth-authorization-server", scope, send)

    async def _send(self, document: IssuerDocument | None, scope: Scope, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._cors.refuses(scope["headers"]):
            response = status_response(403, [])
        elif scope["method"] == "OPTIONS":
            await PlainResponse(204, self._cors.preflight(scope["headers"])).send(send)
            return
        else:
            response = await self._document(document, scope["method"])
        response = response.adding(self._cors.headers(scope["headers"]))
        await response.send(send, with_body=scope["method"] != "HEAD")

    async def _document(self, document: IssuerDocument | None, method: str) -> PlainResponse:
        if method not in ("GET", "HEAD"):
            return status_response(405, [(b"allow", b"GET, HEAD, OPTIONS")])
        if document is None:
            return self._resource
        try:
            body = await self._issuer_metadata(document)
        except Unavailable as error:  # clients must try again later, and not give up
            _log.warning("the metadata of the issuer cannot be read: %s", error)
            return unavailable_response()
        except Exception:  # noqa: BLE001 - so is what nobody foresaw
            _log.exception("the metadata of the issuer cannot be read")
            return unavailable_response()
        if body is None:
            return status_response(404, [])
        length = (b"content-length", b"%d" % len(body))
        return PlainResponse(200, [(b"content-type", b"application/json"), length, *_CACHED], body)
