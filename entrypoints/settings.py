"""What the operator decides."""

import difflib
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from msgspec import Struct

from grantledger.application.policy import ServerPolicy
from grantledger.domain.absolute_uri import parse
from grantledger.domain.resource_indicator import Resource
from grantledger.domain.token_grant import MAX_REUSE_WINDOW
from grantledger.entrypoints import settings_rules as must
from grantledger.entrypoints.settings_rules import IN_MEMORY
from grantledger.entrypoints.settings_sources import Given, SettingsInvalid, given_settings
from grantledger.entrypoints.settings_together import check_together

__all__ = [
    "IN_MEMORY",
    "ProtectedResource",
    "Settings",
    "SettingsInvalid",
    "load_settings",
    "settings_faults",
    "with_source",
]

_DAY = 86_400
_YEAR = 365 * _DAY
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class ProtectedResource(Resource, frozen=True, forbid_unknown_fields=True):
    """One `[[resources]]` table: identifier, name for people, and the scopes it adds to the server's own."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every rule is checked when an instance is made, which raises `SettingsInvalid`.

    Lifetimes are in seconds. Paths are relative to the working directory. URLs stay byte for byte as written.
    """

    host: Annotated[str, must.host] = "127.0.0.1"
    """The address to listen on."""

    port: Annotated[int, must.between(1, 65_535)] = 8000
    """The TCP port to listen on."""

    issuer: Annotated[str | None, must.issuer] = None
    """The URL of this server as clients reach it. None, on loopback only: http, host and port."""

    database: Annotated[str, must.database] = "grantledger.sqlite3"
    """The path of the SQLite file, or `:memory:`."""

    realm: Annotated[str, must.realm] = "main"
    """Which of the independent ledgers in one database this server keeps."""

    login_page: Annotated[str | None, must.login_page] = None
    """Where the users of a host application sign in: a URL, or a path on the issuer's origin.

    Only for a server that is embedded with a `host_identity`; `grantledger serve` refuses it.
    None: people sign in on the built-in page.
    """

    logout_page: Annotated[str | None, must.login_page] = None
    """Where users of `login_page` sign out; not without that. None: the pages offer them no sign-out."""

    sign_up: Annotated[bool, must.either] = False
    """Whether strangers may open an account on the built-in page; not with `login_page`.

    `sign_in_attempts` limits how many accounts they open.
    """

    resource: Annotated[str | None, must.resource] = None
    """The one MCP server to give tokens for, instead of `resources`. Neither of them: `{issuer}/mcp`."""

    resources: Annotated[tuple[ProtectedResource, ...], must.resources] = ()
    """The MCP servers to give tokens for; the first is what a request without `resource` means."""

    scopes: Annotated[tuple[str, ...], must.scopes] = ("openid", "profile", "email", "offline_access")
    """The server's own scopes."""

    default_scope: Annotated[tuple[str, ...], must.scopes] = ("openid",)
    """What a request without `scope` means."""

    # OAuth 2.1 section 4.1.2: "A maximum authorization code lifetime of 10 minutes is RECOMMENDED."
    code_expires_in: Annotated[int, must.between(1, 600)] = 600
    """How long an authorization code may be redeemed."""

    access_token_expires_in: Annotated[int, must.between(1, 30 * _DAY)] = 3600
    """How long an access token is good for."""

    refresh_token_expires_in: Annotated[int, must.between(1, _YEAR)] = 7 * _DAY
    """Counted anew from each refresh."""

    grant_expires_in: Annotated[int | None, must.between(1, 10 * _YEAR)] = None
    """The absolute limit of a grant, however often it is refreshed. None: no limit."""

    refresh_reuse_window: Annotated[int, must.between(0, MAX_REUSE_WINDOW)] = 60
    """How long a superseded refresh token is answered like a retry; later it revokes the grant. 0: never."""

    browser_session_expires_in: Annotated[int, must.between(1, 30 * _DAY)] = _DAY
    """How long a person stays signed in at the pages."""

    private_use_redirect_uris: Annotated[tuple[str, ...], must.private_use_redirect_uris] = ()
    """Redirect URIs ("myapp://callback") or schemes ("myapp") of native clients, beside the known ones."""

    master_secret: Annotated[tuple[str, ...], must.master_secret] = ()
    """Newest first, each at least 32 random bytes in base64."""

    master_secret_file: Annotated[str | None, must.file] = None
    """The path of a file that holds the same, one on each line, instead of `master_secret`."""

    trusted_proxies: Annotated[tuple[str, ...], must.networks] = ()
    """The addresses and networks whose forwarded headers are believed."""

    max_connections: Annotated[int, must.between(1, 1_000_000)] = 1_000
    """How many connections one process holds; one more is answered 503."""

    log_format: Annotated[str | None, must.log_format] = None
    """`json` or `console`: how log lines look on standard error. None: console on a terminal, else JSON."""

    log_level: Annotated[str, must.log_level] = "info"
    """`debug`, `info`, `warning` or `error`: the least that is logged. A request is `info` at least."""

    sign_in_attempts: Annotated[str, must.rate] = "10/hour"
    """Wrong passwords for one account from one address, as "10/hour" or "off".

    Ten times as many for one account from everywhere, and from one address for all accounts. It limits
    sign-ups too: as many new accounts from one address, ten times as many from everywhere.
    """

    client_secret_attempts: Annotated[str, must.rate] = "30/hour"
    """Wrong secrets for one client from one address; ten times as many from everywhere."""

    registrations: Annotated[str, must.rate] = "1000/hour"
    """New clients, from everywhere."""

    registrations_per_address: Annotated[str, must.rate] = "200/hour"
    """New clients from one address, which may be the one of a platform with many users."""

    def __post_init__(self) -> None:
        for key, hint in get_type_hints(Settings, include_extras=True).items():
            value = getattr(self, key)
            if value not in (None, ()):
                _check(key, hint.__metadata__[0], value)
        check_together(self)

    @property
    def issuer_identifier(self) -> str:
        """The one string that names this server (RFC 8414 section 2)."""
        if self.issuer is not None:
            return self.issuer
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @property
    def base_path(self) -> str:
        """What the paths of the endpoints begin with: "", or "/auth" for https://example.com/auth."""
        return parse(self.issuer_identifier).path.rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Whether the server is for programs on this machine only."""
        return self.host in _LOOPBACK_HOSTS and parse(self.issuer_identifier).is_loopback

    @property
    def protected_resources(self) -> tuple[Resource, ...]:
        """The default one comes first."""
        if self.resources:
            return tuple(Resource(r.identifier, r.name, r.scopes) for r in self.resources)
        return (Resource(self.resource or f"{self.issuer_identifier.rstrip('/')}/mcp"),)

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
            private_use_redirect_uris=self.private_use_redirect_uris,
            code_lifetime=self.code_expires_in,
            access_token_lifetime=self.access_token_expires_in,
            refresh_token_lifetime=self.refresh_token_expires_in,
            grant_lifetime=self.grant_expires_in,
            refresh_reuse_window=self.refresh_reuse_window,
            browser_session_lifetime=self.browser_session_expires_in,
        )

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(key, getattr(self, key)) for key in self.__struct_fields__ if key != "master_secret"]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{key}={value!r}' for key, value in self.__rich_repr__())})"


def load_settings(config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings:
    """Read `grantledger.toml`, `GRANTLEDGER_*` variables and `overrides`: the later ones win.

    The file is `config`, or what `GRANTLEDGER_CONFIG` names, or `grantledger.toml` in the working directory
    when there is one. A list may be one text with spaces or commas between, or a JSON array; `resources` in a
    variable is a JSON array of objects. Raises `SettingsInvalid`.
    """
    given = given_settings(config, environ, overrides)
    for fault in _faults(given):
        raise fault
    hints = get_type_hints(Settings)
    values = {key: one.read(key, hints[key]) for key, one in given.items()}
    try:
        return Settings(**values)
    except SettingsInvalid as invalid:
        raise with_source(invalid, given) from None


def settings_faults(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]
) -> list[SettingsInvalid]:
    """Return all that is wrong with single settings, or else what does not go together."""
    try:
        given = given_settings(config, environ, overrides)
    except SettingsInvalid as invalid:
        return [invalid]
    if faults := list(_faults(given)):
        return faults
    try:
        load_settings(config, environ, overrides)
    except SettingsInvalid as invalid:
        return [invalid]
    return []


def _faults(given: Mapping[str, Given]) -> Iterator[SettingsInvalid]:
    """Yield what is wrong with each setting by itself."""
    hints = get_type_hints(Settings, include_extras=True)
    for key, one in given.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            meant = f", did you mean {near[0]}?" if near else ""
            yield SettingsInvalid(key, f"is no setting{meant}", one.source)
            continue
        try:
            value = one.read(key, hints[key].__origin__)
            if value not in (None, ()):
                _check(key, hints[key].__metadata__[0], value)
        except SettingsInvalid as invalid:
            yield with_source(invalid, given)


def with_source(invalid: SettingsInvalid, given: Mapping[str, Given]) -> SettingsInvalid:
    """Return the same, saying also where the setting is written."""
    source = given[invalid.key].source if invalid.key in given else None
    return SettingsInvalid(invalid.key, invalid.sentence, source)


def _check(key: str, rule: Callable[[Any], None], value: Any) -> None:
    try:
        rule(value)
    except ValueError as error:
        raise SettingsInvalid(key, str(error)) from None
