"""The settings of a server, the rules between several settings, and the rules for one setting."""

# Annotations are evaluated later, so that the settings can come before the rules that they name.
from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from grantledger.application.policy import ServerPolicy
from grantledger.domain.absolute_uri import AbsoluteUri, UriMalformed, parse
from grantledger.domain.rate import parsed_rate
from grantledger.domain.redirect_uri import checked_private_use
from grantledger.domain.resource_indicator import Resource, checked_identifier, same
from grantledger.domain.role import Role, Roles, checked_permission, checked_role
from grantledger.domain.scope import checked_token
from grantledger.domain.secret_text import parsed_secrets
from grantledger.domain.signing_keys import ALGORITHMS
from grantledger.domain.token_grant import MAX_REUSE_WINDOW

IN_MEMORY: Final = ":memory:"
"""A database that is deleted when the process ends."""

_POSTGRESQL = "postgresql://"
_PASSWORD_IN_URL = re.compile(r"://[^/?#]*:[^/?#]*@|[?&](?:ssl)?password=")

_DAY = 86_400
_YEAR = 365 * _DAY
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what a container listens on


class SettingsInvalid(Exception):  # noqa: N818 - named for the fact, like a refusal
    """The server cannot start with a setting. The message is one sentence that names it, without secrets."""

    def __init__(self, key: str, sentence: str, source: str | None = None) -> None:
        super().__init__(f"{key} {sentence}" + (f" (from {source})" if source else ""))
        self.key = key
        self.sentence = sentence


class ProtectedResource(Resource, frozen=True, forbid_unknown_fields=True):
    """One `[[resources]]` table: identifier, display name, and the scopes it adds to the server's own.

    `access_token_expires_in` shortens the lifetime of its access tokens. With `jwt` they are JWTs (RFC 9068),
    signed with `ES256`, the usual choice, `RS256` or `EdDSA`; without `jwt` they are opaque.
    `better_auth_path` is the path where this MCP server finds the endpoints of Better Auth 1.6.
    """

    better_auth_path: str | None = None

    @property
    def as_resource(self) -> Resource:
        return Resource(self.identifier, self.name, self.scopes, self.access_token_expires_in, self.jwt)


class ConfiguredRole(Struct, frozen=True, forbid_unknown_fields=True):
    """One `[roles.NAME]` table: the permissions of its users, and the scopes that they may grant."""

    permissions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings. Making an instance checks every rule, and raises `SettingsInvalid`.

    Lifetimes are in seconds. Paths are relative to the working directory. URLs are used byte for byte.
    """

    host: Annotated[str, listening_host] = "127.0.0.1"
    """The address to listen on."""

    port: Annotated[int, Between(1, 65_535)] = 8000
    """The TCP port to listen on."""

    workers: Annotated[int, Between(1, 64)] = 1
    """How many processes serve. Each has its own connections to the database, and `max_connections`.

    One process uses one processor. `workers` must be 1 for a database in memory and for an embedded server.
    """

    issuer: Annotated[str | None, issuer_url] = None
    """The URL at which clients reach this server. Without it, on loopback only: `http://host:port`."""

    database: Annotated[str, database_path] = "grantledger.sqlite3"
    """The path of the SQLite file, `:memory:`, or the URL of a PostgreSQL database: `postgresql://...`.

    The URL is that of libpq, with the user, `sslmode=verify-full` and so on. Commands and logs show only its
    host and its name, because it may hold a password. It needs the extra `grantledger[postgresql]`.
    """

    pool_size: Annotated[int, Between(1, 1_000)] = 10
    """How many connections of one process read from PostgreSQL. Another connection writes."""

    pooler: Annotated[bool, anything] = False
    """Whether the PostgreSQL URL is that of a connection pooler in transaction mode.

    Then nothing is kept on a connection between two transactions, which costs more round trips. PgBouncer
    from 1.21 on with `max_prepared_statements` does not need it.
    """

    realm: Annotated[str, realm_name] = "main"
    """The name of this server's ledger in the database. Several servers may have separate ledgers there."""

    login_page: Annotated[str | None, page_url] = None
    """Where the users of a host application sign in: a URL, or a path on the issuer's origin.

    Only for a server that is embedded with a `host_identity`; `grantledger serve` refuses it. Without it,
    users sign in on the built-in page.
    """

    logout_page: Annotated[str | None, page_url] = None
    """Where the users of a host application sign out. Without it, the pages offer no sign-out."""

    sign_up: Annotated[bool, anything] = False
    """Whether strangers may open an account on the built-in page; not with `login_page`.

    `sign_in_attempts` limits how many accounts they open.
    """

    service_documentation: Annotated[str | None, web_url] = None
    """Where developers read about this server. The front page and the metadata name it (RFC 8414)."""

    resource: Annotated[str | None, usable(checked_identifier)] = None
    """The MCP server to issue tokens for, if there is only one. By default `{issuer}/mcp`."""

    resources: Annotated[tuple[ProtectedResource, ...], different_resources] = ()
    """The MCP servers to issue tokens for. A request without `resource` means the first.

    With `better_auth_path`, such as `/api/auth`, an MCP server may ask at this path of the issuer's origin as
    if Better Auth 1.6 were there. Each needs a path of its own, which says who asks.
    """

    scopes: Annotated[tuple[str, ...], each(checked_token)] = ("openid", "profile", "email", "offline_access")
    """The server's own scopes."""

    default_scope: Annotated[tuple[str, ...], each(checked_token)] = ("openid",)
    """The scopes of a request without `scope`. They must be in `scopes` or in the scopes of a resource."""

    roles: Annotated[dict[str, ConfiguredRole], usable_roles] = {}
    """The roles that `grantledger user grant-role` may give to users, by name.

    If roles list a scope, only users with one of these roles may grant it to clients. Every user may grant
    the other scopes.
    """

    # OAuth 2.1 section 4.1.2: "A maximum authorization code lifetime of 10 minutes is RECOMMENDED."
    code_expires_in: Annotated[int, Between(1, 600)] = 600
    """How long an authorization code may be redeemed."""

    access_token_expires_in: Annotated[int, Between(1, 30 * _DAY)] = 3600
    """How long an access token is valid."""

    refresh_token_expires_in: Annotated[int, Between(1, _YEAR)] = 7 * _DAY
    """How long a refresh token is valid. Each refresh issues a new one."""

    grant_expires_in: Annotated[int, Between(0, 10 * _YEAR)] = 90 * _DAY
    """The absolute lifetime of a grant, however often it is refreshed. 0 switches it off."""

    refresh_reuse_window: Annotated[int, Between(0, MAX_REUSE_WINDOW)] = 30  # MAX_REUSE_WINDOW is 300
    """How long a superseded refresh token still gets the current tokens, as a retry. 0 switches it off.

    After that its use revokes the grant. Must be less than `access_token_expires_in`.
    """

    browser_session_expires_in: Annotated[int, Between(1, 30 * _DAY)] = _DAY
    """How long a user stays signed in at the pages."""

    private_use_redirect_uris: Annotated[tuple[str, ...], each(checked_private_use)] = ()
    """Redirect URIs ("myapp://callback") or schemes ("myapp") of native clients, added to the known ones."""

    master_secret: Annotated[tuple[str, ...], usable(parsed_secrets)] = ()
    """The master secrets, newest first, each at least 32 random bytes in base64."""

    master_secret_file: Annotated[str | None, file_path] = None
    """The path of a file with the master secrets, one per line, instead of `master_secret`."""

    trusted_proxies: Annotated[tuple[str, ...], each(proxy_network)] = ()
    """The addresses and networks whose forwarded headers are believed.

    Not `0.0.0.0/0` or `::/0`: callers could write any address into the header, and no limit would count.
    """

    max_connections: Annotated[int, Between(1, 1_000_000)] = 1_000
    """How many connections one process holds. A further connection gets the status 503."""

    log_format: Annotated[str | None, OneOf("json", "console")] = None
    """The format of log lines on standard error. Without it: `console` on a terminal, otherwise `json`."""

    log_level: Annotated[str, OneOf("debug", "info", "warning", "error")] = "info"
    """The lowest level that is logged. A request is logged at `info` or above."""

    log_callers: Annotated[str, OneOf("off", "digest", "plain")] = "digest"
    """How a warning names the caller's address and the account: not at all, or as keyed digests.

    `plain` shows the caller's address as it is, for tools such as fail2ban; the account stays a digest.
    """

    sign_in_attempts: Annotated[str, parsed_rate] = "10/hour"
    """The limit of wrong passwords for one account from one network, as "10/hour" or "off".

    Ten times as many are allowed for one account from all networks, and from one network for all accounts.
    The limit also applies to sign-ups: as many new accounts from one network, and ten times as many in total.
    """

    client_secret_attempts: Annotated[str, parsed_rate] = "30/hour"
    """The limit of wrong secrets for one client from one network; ten times as many from all networks.

    The same limit applies to the secrets of resource servers.
    """

    registration: Annotated[str, OneOf("open", "token", "closed")] = "open"
    """Who may register a client: all, only a client with a registration token, or none.

    `grantledger registration-token add` makes such a token. Clients that have registered are not affected.
    """

    unused_client_expires_in: Annotated[int, Between(0, 10 * _YEAR)] = 30 * _DAY
    """How long a client is kept if no user has ever given it access. 0: without limit.

    A deleted client may register again. Clients that an operator has approved or disabled are kept.
    """

    registrations: Annotated[str, parsed_rate] = "1000/hour"
    """The limit of new clients in total."""

    registrations_per_address: Annotated[str, parsed_rate] = "200/hour"
    """The limit of new clients from one network, which may be that of a platform with many users."""

    refreshes_per_grant: Annotated[str, parsed_rate] = "60/minute"
    """Refreshes of one grant. Retries within `refresh_reuse_window` do not count."""

    codes_per_session: Annotated[str, parsed_rate] = "60/hour"
    """Authorization codes for one browser session; ten times as many for one user."""

    sign_ins_per_user: Annotated[str, parsed_rate] = "60/hour"
    """New browser sessions of one user, by a sign-in or by a change of the password."""

    def __post_init__(self) -> None:
        for key in self.__struct_fields__:
            value = converted(key, getattr(self, key))
            force_setattr(self, key, value)
            check_setting(key, value)
        _check_together(self)

    @property
    def issuer_identifier(self) -> str:
        """The one string that names this server (RFC 8414 section 2)."""
        if self.issuer is not None:
            return self.issuer
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @property
    def base_path(self) -> str:
        """The prefix of the endpoints' paths: "", or "/auth" for the issuer https://example.com/auth."""
        return parse(self.issuer_identifier).path.rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Whether the server is for programs on this machine only.

        In a container it listens on all addresses, and its port is published on the loopback of the machine.
        """
        return self.host in _LOOPBACK_HOSTS | _ALL_ADDRESSES and parse(self.issuer_identifier).is_loopback

    @property
    def in_postgresql(self) -> bool:
        return is_in_postgresql(self.database)

    @property
    def database_name(self) -> str:
        return database_name(self.database)

    @property
    def listens_on_all_addresses(self) -> bool:
        return self.host in _ALL_ADDRESSES

    @property
    def issuer_on_loopback(self) -> bool:
        """Whether browsers reach the server on their own machine, where every port receives its cookies."""
        return parse(self.issuer_identifier).is_this_machine

    @property
    def protected_resources(self) -> tuple[Resource, ...]:
        """The MCP servers to give tokens for, the default one first."""
        if self.resources:
            return tuple(each.as_resource for each in self.resources)
        return (Resource(self.resource or f"{self.issuer_identifier.rstrip('/')}/mcp"),)

    @property
    def better_auth_issuers(self) -> dict[str, Resource]:
        """The URLs where MCP servers find the endpoints of Better Auth, with the resource of each."""
        origin = parse(self.issuer_identifier).origin
        return {
            f"{origin}{each.better_auth_path}": each.as_resource
            for each in self.resources
            if each.better_auth_path is not None
        }

    @property
    def trusted_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(text) for text in self.trusted_proxies)

    @property
    def policy(self) -> ServerPolicy:
        """What the use cases need of the settings."""
        return ServerPolicy(
            issuer=self.issuer_identifier,
            resources=self.protected_resources,
            server_scopes=self.scopes,
            default_scope=self.default_scope,
            roles=Roles(
                Role(name=name, permissions=role.permissions, scopes=role.scopes)
                for name, role in self.roles.items()
            ),
            private_use_redirect_uris=self.private_use_redirect_uris,
            code_lifetime=self.code_expires_in,
            access_token_lifetime=self.access_token_expires_in,
            refresh_token_lifetime=self.refresh_token_expires_in,
            grant_lifetime=self.grant_expires_in or None,
            refresh_reuse_window=self.refresh_reuse_window,
            browser_session_lifetime=self.browser_session_expires_in,
            registration_mode=self.registration,
            documentation=self.service_documentation,
            unused_client_lifetime=self.unused_client_expires_in or None,
        )

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        shown = {"database": self.database_name}
        keys = (key for key in self.__struct_fields__ if key != "master_secret")
        return [(key, shown.get(key, getattr(self, key))) for key in keys]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{key}={value!r}' for key, value in self.__rich_repr__())})"


# Between settings


def _check_together(settings: Settings) -> None:
    """Raise `SettingsInvalid` for the first setting that another one forbids or requires."""
    if settings.resource is not None and settings.resources:
        raise SettingsInvalid("resources", "must not be set together with resource")

    if settings.master_secret and settings.master_secret_file is not None:
        raise SettingsInvalid("master_secret", "must not be set together with master_secret_file")

    if settings.in_postgresql and not settings.master_secret and settings.master_secret_file is None:
        # A SQLite file gets a secret next to it at the first start. Servers on PostgreSQL must share one.
        raise SettingsInvalid("master_secret", "is missing: with PostgreSQL, set it or master_secret_file")

    if settings.workers > 1 and settings.database == IN_MEMORY:
        raise SettingsInvalid(
            "workers", f"must be 1 with database {IN_MEMORY!r}, which no other process can open"
        )

    unknown = [token for token in settings.default_scope if token not in settings.policy.known_scopes]
    if unknown or not settings.default_scope:
        sentence = "must name at least one scope, each from scopes or from the scopes of a resource"
        raise SettingsInvalid("default_scope", sentence + (f", not {unknown[0]!r}" if unknown else ""))

    # A retry within the window gets the current access token, which must not have expired.
    if settings.refresh_reuse_window >= settings.access_token_expires_in:
        sentence = f"must be less than access_token_expires_in, which is {settings.access_token_expires_in}"
        raise SettingsInvalid("refresh_reuse_window", f"{sentence}, not {settings.refresh_reuse_window}")
    for resource in settings.resources:
        try:
            check_access_token_lifetime(settings, resource.access_token_expires_in)
        except ValueError as error:
            raise SettingsInvalid("resources", f"{error}, for {resource.identifier!r}") from None
    for resource in settings.resources:
        path = resource.better_auth_path
        # Better Auth's endpoints are below {path}/mcp, and the server's own below its base path.
        if f"{path}/".startswith(f"{settings.base_path}/authorize/") or f"{path}/mcp" == settings.base_path:
            sentence = f"must not have better_auth_path {path!r}: the server's own endpoints are there"
            raise SettingsInvalid("resources", sentence)

    if settings.login_page is None and settings.logout_page is not None:
        sentence = "must not be set without login_page: the built-in pages have their own sign-out"
        raise SettingsInvalid("logout_page", sentence)
    if settings.login_page is not None and settings.sign_up:
        raise SettingsInvalid("sign_up", "must be false with login_page: the host application signs users up")

    if not settings.is_loopback:
        _check_for_the_network(settings)


def check_access_token_lifetime(settings: Settings, lifetime: int | None) -> None:
    """Raise a ValueError unless a resource or client may have access tokens of this lifetime, in seconds."""
    lowest, highest = settings.refresh_reuse_window + 1, settings.access_token_expires_in
    if lifetime is not None and not lowest <= lifetime <= highest:
        raise ValueError(
            f"must have access_token_expires_in from {lowest}, more than refresh_reuse_window, to {highest}, "
            f"the server's access_token_expires_in, not {lifetime}"
        )


def _check_for_the_network(settings: Settings) -> None:
    if settings.issuer is None:
        sentence = (
            f"is missing: with host {settings.host!r}, set the https URL at which clients reach this server"
        )
        raise SettingsInvalid("issuer", sentence)
    if parse(settings.issuer).scheme != "https":
        sentence = f"must be https, not {settings.issuer!r}, because host {settings.host!r} is not loopback"
        raise SettingsInvalid("issuer", sentence)
    if not settings.master_secret and settings.master_secret_file is None:
        raise SettingsInvalid("master_secret", "is missing: away from loopback, set it or master_secret_file")
    if settings.database == IN_MEMORY:
        raise SettingsInvalid("database", f"must be a file: away from loopback, {IN_MEMORY!r} loses grants")


def proxy_doubts(settings: Settings) -> list[str]:
    """Return warnings about settings that are probably wrong for a server behind a proxy."""
    if parse(settings.issuer_identifier).scheme != "https" or settings.trusted_proxies:
        return []
    doubt = (
        "trusted_proxies is empty, but issuer is https, so a proxy ends TLS in front of this server. Unless "
        "trusted_proxies names it, every caller has its address, and all share the limits of one."
    )
    return [doubt]


def origin_doubts(settings: Settings) -> list[str]:
    """Return warnings about resources on the issuer's host, which `grantledger serve` does not mount."""
    issuer = parse(settings.issuer_identifier)
    if issuer.is_localhost:
        return [localhost_doubt(settings)]
    if issuer.is_this_machine:
        return []
    return [
        f"{resource.identifier} is on the {_shared(parse(resource.identifier), issuer)} of the issuer, but "
        "is not mounted in this server. That MCP server could use the sign-in of every user here: give the "
        "issuer a host of its own."
        for resource in settings.protected_resources
        if (parse(resource.identifier).host or "").lower() == issuer.host
    ]


def role_doubts(settings: Settings) -> list[str]:
    """Return warnings about scopes of roles that neither the server nor a resource has.

    They are probably misspelt. But a resource that was added by command may have them, so the server starts.
    """
    policy = settings.policy
    return [
        f"roles.{name} lists the scope {scope!r}, which the settings do not have. Unless a resource that was "
        "added by command has it, it is misspelt, and every user may grant the scope that was meant."
        for name, role in settings.roles.items()
        for scope in role.scopes
        if scope not in policy.known_scopes
    ]


def _shared(resource: AbsoluteUri, issuer: AbsoluteUri) -> str:
    """Return "host" if both share only cookies, or "origin" if scripts have access to both."""
    return "origin" if resource.origin == issuer.origin else "host"


def localhost_doubt(settings: Settings) -> str:
    """Return the warning about an issuer on `localhost`."""
    return (
        f"issuer {settings.issuer_identifier} is on localhost, which browsers look for at 127.0.0.1 and at "
        "[::1]. Another program that listens on one of them would be sent passwords. `grantledger serve` "
        "listens on both; an application that embeds the server, or a proxy, must do so too. An issuer on "
        "127.0.0.1 has only one address."
    )


def check_identity(settings: Settings, *, by_host: bool) -> None:
    """Raise `SettingsInvalid` unless `login_page` is set exactly when a host application signs users in."""
    if by_host and settings.login_page is None:
        raise SettingsInvalid("login_page", "is missing: say where the host application signs its users in")
    if not by_host and settings.login_page is not None:
        raise SettingsInvalid(
            "login_page",
            "needs a host application that knows who is signed in: embed the server with "
            "AuthorizationServer(host_identity=...), or leave login_page out to use the built-in page",
        )


# Rules: each is called with a value, and raises a ValueError. In the message, its text follows the key.

_HOST_NAME = re.compile(r"[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)*")
_ISSUER_PATH = re.compile(r"(/[A-Za-z0-9\-._~]+)*/?")
_BETTER_AUTH_PATH = re.compile(r"(/(?!\.)[A-Za-z0-9\-._~]+)+")
_REALM = re.compile(r"[a-z0-9][a-z0-9_\-]{0,62}")


class Between(Struct, frozen=True):
    low: int
    high: int

    def __call__(self, value: int) -> None:
        if not self.low <= value <= self.high:
            raise ValueError(f"must be {self}, not {value}")

    def __str__(self) -> str:
        return f"from {self.low} to {self.high}"


class OneOf:
    def __init__(self, *names: str) -> None:
        self._names = names

    def __call__(self, name: str) -> None:
        if name not in self._names:
            raise ValueError(f"must be {self}, not {name!r}")

    def __str__(self) -> str:
        return f"one of {', '.join(self._names)}"


def usable(check: Callable[[Any], object]) -> Callable[[Any], None]:
    """Return a rule that refuses a value for which the check raises `ValueError`."""

    def rule(value: Any) -> None:
        try:
            check(value)
        except ValueError as error:
            raise ValueError(f"cannot be used: {error}") from None

    return rule


def each(check: Callable[[str], object]) -> Callable[[tuple[str, ...]], None]:
    """Return a rule that refuses a list if the check raises `ValueError` for one of its texts."""
    return usable(lambda texts: [check(text) for text in texts])


def proxy_network(text: str) -> None:
    if ipaddress.ip_network(text).prefixlen == 0:
        raise ValueError(f"{text!r} has every address, so that callers could write their own")


def anything(_: object) -> None:
    """Accept every value of the type."""


def listening_host(address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        if not _HOST_NAME.fullmatch(address):
            raise ValueError(f"must be an IP address or a host name, not {address!r}") from None


def issuer_url(url: str) -> None:
    """Require the form of RFC 8414 section 2 and one spelling: cookies and the origin check compare text."""
    uri = _parsed(url)
    if not _is_https_or_loopback(uri):
        raise ValueError(f"must be an https URL, or an http one on loopback, not {url!r}")
    if uri.userinfo is not None or uri.query is not None or uri.fragment is not None:
        raise ValueError(f"must have no user name, query or fragment, not {url!r}")
    if uri.host != (uri.host or "").lower():
        raise ValueError(f"must have its host in lower case, not {url!r}")
    if not _ISSUER_PATH.fullmatch(uri.path):
        raise ValueError(f"must have a path of letters, digits and -._~ between single slashes, not {url!r}")


def page_url(page: str) -> None:
    """A URL, or an absolute path on the issuer's origin."""
    uri = _parsed(f"https://host{page}" if page.startswith("/") else page)
    if page.startswith("//") or not _is_https_or_loopback(uri):
        raise ValueError(f"must be a path, an https URL, or an http one on loopback, not {page!r}")
    if uri.userinfo is not None or uri.fragment is not None:
        raise ValueError(f"must have no user name and no fragment, not {page!r}")


def web_url(url: str) -> None:
    if not _is_https_or_loopback(_parsed(url)):
        raise ValueError(f"must be an https URL, or an http one on loopback, not {url!r}")


def is_in_postgresql(database: str) -> bool:
    return database.startswith(_POSTGRESQL)


def holds_password(database: str) -> bool:
    """Whether this is the URL of a database, and a password is in it."""
    return is_in_postgresql(database) and _PASSWORD_IN_URL.search(database) is not None


def database_name(database: str) -> str:
    """Return the name of the database to show: the path, or a URL without user, password and options."""
    if not is_in_postgresql(database):
        return database
    url = urlsplit(database)
    return f"postgresql://{url.netloc.rpartition('@')[2]}{url.path}"


def database_path(path: str) -> None:
    # A URL is not shown: it may hold a password.
    if path.startswith(_POSTGRESQL):
        if "\0" in path or not urlsplit(path).path.strip("/"):
            raise ValueError("must name the database: postgresql://host/name")
        return
    if "://" in path or path.startswith("file:"):
        raise ValueError("must be the path of a SQLite file or a postgresql:// URL, not another URL")
    file_path(path)


def file_path(path: str) -> None:
    if not path or "\0" in path:
        raise ValueError(f"must be the path of a file, not {path!r}")


def realm_name(name: str) -> None:
    if not _REALM.fullmatch(name):
        raise ValueError(f"must be up to 63 of a-z, 0-9, _ and -, the first a letter or digit, not {name!r}")


def different_resources(resources: tuple[ProtectedResource, ...]) -> None:
    paths = [each.better_auth_path for each in resources if each.better_auth_path is not None]
    for path in paths:
        if not _BETTER_AUTH_PATH.fullmatch(path):
            raise ValueError(f"must have better_auth_path as a path like /api/auth, not {path!r}")
        if paths.count(path) > 1:
            raise ValueError(f"must each have a better_auth_path of its own, not {path!r} twice")
    for count, one in enumerate(resources):
        usable(checked_identifier)(one.identifier)
        each(checked_token)(one.scopes)
        if one.jwt not in (None, *ALGORITHMS):
            raise ValueError(f"must have jwt as one of {', '.join(ALGORITHMS)}, not {one.jwt!r}")
        if any(same(one.identifier, other.identifier) for other in resources[:count]):
            raise ValueError(f"must be different from one another, not {one.identifier!r} twice")


MAX_ROLES = 100
"""Maximum number of roles."""

MAX_ROLE_BYTES = 3_072
"""Maximum size of all names of roles and all permissions together.

A JWT may have all of them, and many servers accept no header field of more than 8 KiB.
"""


def usable_roles(roles: Mapping[str, ConfiguredRole]) -> None:
    if len(roles) > MAX_ROLES:
        raise ValueError(f"must be at most {MAX_ROLES}, not {len(roles)}")
    names = {*roles, *(permission for role in roles.values() for permission in role.permissions)}
    size = sum(len(name) for name in names)
    if size > MAX_ROLE_BYTES:
        raise ValueError(f"must have names and permissions of at most {MAX_ROLE_BYTES} bytes, not {size}")
    usable(lambda named: [checked_role(name) for name in named])(roles)
    for role in roles.values():
        each(checked_permission)(role.permissions)
        each(checked_token)(role.scopes)


def check_setting(key: str, value: Any) -> None:
    """Raise `SettingsInvalid` if the value breaks the rule of the setting. None and () are "not set"."""
    if value in (None, ()):
        return
    try:
        rules()[key](value)
    except ValueError as error:
        raise SettingsInvalid(key, str(error)) from None


def converted(key: str, value: Any, *, strict: bool = True) -> Any:
    """Return the value in the type of its setting, a list as a tuple and a dict as a table.

    Unless `strict`, numbers and truth values may be text. Raises `SettingsInvalid` for any other type.
    """
    try:
        return msgspec.convert(value, types_of_settings()[key], strict=strict)
    except msgspec.ValidationError as error:
        raise wrong_type(key, error) from None


_NAMES = {
    str: "a text",
    str | None: "a text",
    int: "a whole number",
    bool: "true or false",
    tuple[str, ...]: "a list of texts",
}


def wrong_type(key: str, error: msgspec.DecodeError) -> SettingsInvalid:
    """Return what the setting must be, why its value is not, and the fields if it is made of tables."""
    kind = types_of_settings()[key]
    if kind in _NAMES:
        return SettingsInvalid(key, f"must be {_NAMES[kind]}: {error}")
    table = next(part for part in get_args(kind) if issubclass(part, Struct))
    tables = "tables" if get_origin(kind) is dict else "a list of tables"
    fields = ", ".join(table.__struct_fields__)
    return SettingsInvalid(key, f"must be {tables}: {error}; the fields of a table are {fields}")


@cache
def types_of_settings() -> dict[str, Any]:
    """Return the type of each setting."""
    return get_type_hints(Settings)


@cache
def rules() -> dict[str, Callable[[Any], object]]:
    """Return the rule of each setting."""
    hints = get_type_hints(Settings, include_extras=True)
    return {key: hints[key].__metadata__[0] for key in Settings.__struct_fields__}


def _parsed(url: str) -> AbsoluteUri:
    try:
        return parse(url)
    except UriMalformed as malformed:
        raise ValueError(f"must be a URL, not {url!r}, which {malformed}") from None


def _is_https_or_loopback(uri: AbsoluteUri) -> bool:
    return uri.scheme == "https" or (uri.scheme == "http" and uri.is_loopback)
