"""Where discovery documents are (RFC 8414, OpenID Connect Discovery, RFC 9728)."""

from urllib.parse import urlsplit

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
OPENID_CONFIGURATION = "/.well-known/openid-configuration"
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"


def resource_metadata_url(identifier: str) -> str:
    """Return the URL of the metadata of a resource (RFC 9728 section 3.1)."""
    return f"{origin_of(identifier)}{PROTECTED_RESOURCE}{path_of(identifier)}"


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def path_of(url: str) -> str:
    """Return the path without a slash at its end."""
    return urlsplit(url).path.rstrip("/")
