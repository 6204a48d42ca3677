"""What is examined: the URL, and the challenge and metadata that belong to it."""

import re
from typing import Any

from msgspec import Struct

from grantledger.adapters.doctor.http import Answer, is_web
from grantledger.adapters.guards.discovery_paths import (
    AUTHORIZATION_SERVER,
    OPENID_CONFIGURATION,
    PROTECTED_RESOURCE,
    origin_of,
    path_of,
    resource_metadata_url,
)

_PARAMETER = re.compile(r"([A-Za-z_]+)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s,]+)")

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "grantledger-doctor", "version": "1"},
    },
}
"""The first message of a client. Clients without MCP sessions send another, and get the same challenge."""

MCP_HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}


class Challenge(Struct, frozen=True):
    """The `WWW-Authenticate` headers of a response."""

    lines: tuple[str, ...]

    @classmethod
    def of(cls, answer: Answer) -> "Challenge":
        return cls(tuple(answer.headers.get_list("www-authenticate")))

    @property
    def bearer(self) -> str:
        """What follows `Bearer`; "" without such a challenge."""
        return next((line[6:].strip() for line in self.lines if line[:6].lower() == "bearer"), "")

    @property
    def is_bearer(self) -> bool:
        return any(line[:6].lower() == "bearer" for line in self.lines)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters as written, with their quotation marks."""
        return [(name.lower(), value) for name, value in _PARAMETER.findall(self.bearer)]

    def get(self, name: str) -> str | None:
        """Return the value of a parameter."""
        return next((value.strip('"') for key, value in self.parameters if key == name), None)


class Subject(Struct, kw_only=True):
    """The examined MCP server, or the issuer if `is_issuer`, with the metadata that was found."""

    url: str
    is_issuer: bool = False
    challenge: Challenge = Challenge(())
    resource: dict[str, Any] = {}
    issuer: str = ""
    server: dict[str, Any] = {}

    @property
    def metadata_url_of_challenge(self) -> str | None:
        return self.challenge.get("resource_metadata")

    @property
    def named_resource(self) -> str:
        """The resource for which a client asks a token: that of the metadata, else the URL."""
        named = self.resource.get("resource")
        return named if isinstance(named, str) else self.url

    def endpoint(self, name: str) -> str | None:
        """Return the URL of an endpoint in the metadata of the authorization server."""
        url = self.server.get(name)
        return url if isinstance(url, str) and is_web(url) else None

    def names(self, member: str, *, of_resource: bool = False) -> list[str]:
        """Return the strings of a list in the metadata."""
        return texts((self.resource if of_resource else self.server).get(member))


def texts(listed: object) -> list[str]:
    """Return the strings of a member of the metadata that should be a list of strings."""
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []


def covers(resource: str, url: str) -> bool:
    """Whether the resource is the URL or a parent of it, as both SDKs compare them."""
    try:
        if origin_of(resource) != origin_of(url):
            return False
    except ValueError:  # a malformed host
        return False
    parent, path = (f"{path_of(one)}/" for one in (resource, url))
    return path.startswith(parent)


def resource_path_url(url: str) -> str:
    return resource_metadata_url(url)


def resource_root_url(url: str) -> str:
    return f"{origin_of(url)}{PROTECTED_RESOURCE}"


def oauth_path_url(issuer: str) -> str:
    return f"{origin_of(issuer)}{AUTHORIZATION_SERVER}{path_of(issuer)}"


def oauth_root_url(issuer: str) -> str:
    return f"{origin_of(issuer)}{AUTHORIZATION_SERVER}"


def openid_path_url(issuer: str) -> str:
    return f"{origin_of(issuer)}{OPENID_CONFIGURATION}{path_of(issuer)}"


def openid_after_url(issuer: str) -> str:
    return f"{issuer.rstrip('/')}{OPENID_CONFIGURATION}"


SERVER_URLS = (oauth_path_url, openid_path_url, openid_after_url)
"""Where current clients look for the metadata of an issuer, in this order (MCP authorization)."""
