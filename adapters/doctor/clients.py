"""The known clients, and the order in which each looks for metadata.

The orders come from the source code of each SDK release, and from reports about the other clients.
"""

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from grantledger.adapters.doctor.http import Http, is_web, without_query
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.subject import (
    SERVER_URLS,
    Subject,
    covers,
    oauth_path_url,
    oauth_root_url,
    openid_after_url,
    openid_path_url,
    resource_path_url,
    resource_root_url,
    texts,
)
from grantledger.adapters.guards.discovery_paths import origin_of

_SERVER_ERROR = 500

ResourceProbe = Literal["challenge", "path", "root"]
ServerProbe = Callable[[str], str]


class KnownClient(Struct, frozen=True, kw_only=True):
    """How a client looks for metadata.

    `only_challenge`: if the challenge has a URL, no other is tried. `exact`: the resource must be the URL of
    the MCP server; otherwise it may be a parent. `checks`: the client checks issuer and PKCE in the metadata.
    """

    name: str
    resource: tuple[ResourceProbe, ...]
    server: tuple[ServerProbe, ...]
    only_challenge: bool = False
    exact: bool = False
    checks: bool = True
    is_old: bool = False


_OLD_ORDER = (oauth_path_url, oauth_root_url, openid_path_url, openid_after_url)

CLIENTS = (
    KnownClient(
        name="Claude, Claude Code",
        resource=("challenge", "path", "root"),
        server=SERVER_URLS,
        only_challenge=True,
        exact=True,
    ),
    KnownClient(
        name="TypeScript SDK 1.22 and later (Cursor, MCP Inspector, mcp-remote)",
        resource=("challenge", "path", "root"),
        server=SERVER_URLS,
        only_challenge=True,
    ),
    KnownClient(
        name="Python SDK 1.22 and later",
        resource=("challenge", "path", "root"),
        server=SERVER_URLS,
    ),
    KnownClient(
        name="ChatGPT, VS Code, Codex",
        resource=("challenge", "path", "root"),
        server=SERVER_URLS,
    ),
    KnownClient(
        name="TypeScript SDK 1.17 to 1.21",
        resource=("challenge", "path", "root"),
        server=_OLD_ORDER,
        only_challenge=True,
        checks=False,
        is_old=True,
    ),
    KnownClient(
        name="TypeScript SDK 1.15 and 1.16",
        resource=("challenge", "root"),
        server=(oauth_path_url, oauth_root_url),
        only_challenge=True,
        checks=False,
        is_old=True,
    ),
    KnownClient(
        name="TypeScript SDK 1.12 to 1.14",
        resource=("challenge", "root"),
        server=(oauth_root_url,),
        only_challenge=True,
        checks=False,
        is_old=True,
    ),
    KnownClient(
        name="TypeScript SDK before 1.12",
        resource=(),
        server=(oauth_root_url,),
        checks=False,
        is_old=True,
    ),
    KnownClient(
        name="Python SDK 1.10 to 1.20",
        resource=("challenge", "root"),
        server=_OLD_ORDER,
        checks=False,
        is_old=True,
    ),
)


async def walk_as_each(subject: Subject, http: Http, report: Report) -> None:
    """Look for the metadata as each known client does."""
    for client in CLIENTS:
        lost = await _lost(client, subject, http)
        report.judge(
            "old-discovery" if client.is_old else "discovery", lost is None, f"{client.name}: {lost}"
        )


async def _lost(client: KnownClient, subject: Subject, http: Http) -> str | None:
    """Return where the client gives up, None if it finds what it needs."""
    issuer = origin_of(subject.url)
    if subject.is_issuer:
        issuer = subject.url
    else:
        resource, lost = await _resource_metadata(client, subject, http)
        if lost is not None:
            return lost
        if resource is not None:
            named = str(resource.get("resource", ""))
            if not (named == subject.url if client.exact else covers(named, subject.url)):
                return f"refuses the resource {named!r}"
            servers = resource.get("authorization_servers")
            if isinstance(servers, list) and servers:
                issuer = str(servers[0])
                if not is_web(issuer):
                    return f"cannot read the issuer {issuer!r}"
    return await _server_metadata(client, issuer, http)


async def _resource_metadata(
    client: KnownClient, subject: Subject, http: Http
) -> tuple[dict[str, Any] | None, str | None]:
    in_challenge = subject.metadata_url_of_challenge
    urls = {
        "challenge": in_challenge,
        "path": resource_path_url(subject.url),
        "root": resource_root_url(subject.url),
    }
    tried = ("challenge",) if in_challenge and client.only_challenge else client.resource
    for url in [urls[probe] for probe in tried]:
        if url is None:
            continue
        answer = await http.get(url)
        if answer.ok and answer.json is not None:
            return answer.json, None
        if answer.ok or answer.status >= _SERVER_ERROR:
            return None, f"gives up at {answer.seen}{' without JSON' if answer.ok else ''}"
    if tried == ("challenge",) and client.resource:
        return None, f"finds nothing at {without_query(str(in_challenge))}"
    return None, None  # the client then uses the origin of the MCP server as the issuer


async def _server_metadata(client: KnownClient, issuer: str, http: Http) -> str | None:
    for url in [probe(issuer) for probe in client.server]:
        answer = await http.get(url)
        if answer.ok and answer.json is not None:
            return _refused(client, issuer, answer.json)
        if answer.ok or answer.status >= _SERVER_ERROR:
            return f"gives up at {answer.seen}{' without JSON' if answer.ok else ''}"
    return f"finds no metadata of {issuer}"


def _refused(client: KnownClient, issuer: str, server: dict[str, Any]) -> str | None:
    if not client.checks:
        return None
    if server.get("issuer") != issuer:
        return f"refuses the issuer {server.get('issuer')!r}, since the resource names {issuer!r}"
    if "S256" not in texts(server.get("code_challenge_methods_supported")):
        return "refuses the server, since its metadata has no PKCE with S256"
    return None
