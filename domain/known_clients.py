"""Private-use redirect URIs of MCP clients that everybody uses."""

from grantledger.domain.absolute_uri import AbsoluteUri

# Editors that hand `scheme://publisher.extension/path` to that one extension. The path differs by extension
# and by MCP server (Cline ends it with a digest of the server's URL, older Cursors put a user's name in it),
# so no list of exact URIs would last; Cursor's own is cursor://anysphere.cursor-mcp/oauth/callback.
_EDITORS = frozenset({"cursor", "vscode", "vscode-insiders", "vscodium", "windsurf"})

# Zed answers on loopback today; this is the spelling that servers list for it. Nothing else of its scheme.
_CALLBACKS = frozenset({("zed", "oauth", "/callback")})


def answers_at(uri: AbsoluteUri) -> bool:
    """Whether the URI is where a known client waits for its authorization response.

    An editor's scheme also carries commands (`vscode:mcp/install?...`, `vscode://file/...`,
    `cursor://.../prompt?text=...`). Somebody else's registration must not make this server send them to
    the editor, least of all in an error response, which needs no consent: they have no extension's id as
    their host, or bring a query of their own.
    """
    if uri.query is not None:
        return False
    if uri.scheme in _EDITORS:
        return "." in (uri.host or "")
    return (uri.scheme, uri.host, uri.path) in _CALLBACKS
