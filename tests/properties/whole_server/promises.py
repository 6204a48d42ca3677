"""The model of the whole server: what was observed, in plain lists, and what the promises say about it.

It has no events and no folds. A registration is an object: registering again makes another one, even with the
same client id.
"""

from collections.abc import Iterable

from msgspec import Struct

from properties.whole_server import facts
from properties.whole_server.facts import WINDOW, Ask, Program, Seen, Session

REFUSED = "invalid_grant"


class Registered(Struct, eq=False):
    """One registration of a client."""

    program: Program
    credentials: facts.Credentials
    disabled: bool = False
    deleted: bool = False

    @property
    def client_id(self) -> str:
        return self.credentials.client_id

    @property
    def is_usable(self) -> bool:
        return not (self.disabled or self.deleted)


class User(Struct, eq=False):
    user_id: str
    email: str
    disabled: bool = False
    is_editor: bool = False

    def may_grant(self, scopes: Iterable[str]) -> tuple[str, ...]:
        """Return those of the scopes that the user's role allows."""
        return tuple(scope for scope in scopes if self.is_editor or scope != facts.EDITORS_SCOPE)


class SignIn(Struct, eq=False):
    """A browser session."""

    user: User
    until: int
    signed_out: bool = False

    def is_live(self, now: int) -> bool:
        return not self.signed_out and not self.user.disabled and now < self.until


class Browser(Struct, eq=False):
    name: str
    cookie: SignIn | None = None

    def session(self, now: int) -> SignIn | None:
        return self.cookie if self.cookie is not None and self.cookie.is_live(now) else None


class Tab(Struct, eq=False, kw_only=True):
    """A pending request in a browser, and the page of it that was last shown."""

    name: str
    browser: Browser
    client: Registered
    redirect_uri: str
    scopes: tuple[str, ...]
    resource: str
    prompt: str | None
    before: SignIn | None
    until: int
    denied: bool = False
    """The browser has forgotten the request."""
    code: "Code | None" = None
    form: str | None = None
    """Which page with a form was shown last, and to whom."""
    shown: tuple[str, ...] = ()
    """The scopes on the consent page that was shown last."""
    form_of: SignIn | None = None
    asked_of: list[SignIn] = []
    """Who was shown the consent page."""

    def is_open(self, now: int) -> bool:
        return not self.denied and now < self.until

    def needs_sign_in(self, session: SignIn | None) -> bool:
        return session is None or (self.prompt == "login" and session is self.before)


class Grant(Struct, eq=False, kw_only=True):
    user: User
    client: Registered
    scopes: tuple[str, ...]
    resource: str
    until: int
    revoked: bool = False
    issued: list["Issued"] = []

    def has_ended(self, now: int) -> bool:
        gone = self.revoked or self.user.disabled or not self.client.is_usable
        return gone or now >= self.until


class Issued(Struct, eq=False, kw_only=True):
    """One pair of tokens."""

    grant: Grant
    access: str
    refresh: str | None
    scopes: tuple[str, ...]
    access_until: int
    refresh_until: int
    superseded_at: int | None = None
    access_revoked: bool = False

    def session(self, now: int) -> Session | None:
        """Return the user and client for whom the access token is valid now: promises 3 and 8."""
        if self.grant.has_ended(now) or self.access_revoked or now >= self.access_until:
            return None
        return Session(
            user_id=self.grant.user.user_id,
            client_id=self.grant.client.client_id,
            scopes=self.grant.user.may_grant(self.scopes),
            resource=self.grant.resource,
            expires_at=self.access_until,
        )

    def refreshing(self, scopes: tuple[str, ...] | None, resource: str | None, now: int) -> str:
        """Return "next", "again", "reuse" or the error code, by the table in docs/flow.md."""
        newest = self.grant.issued[-1]
        if self.refresh is None or self.grant.has_ended(now) or now >= newest.refresh_until:
            return REFUSED
        granted = self.grant.user.may_grant(self.grant.scopes)
        wanted = granted if scopes is None else self.grant.user.may_grant(scopes)
        is_granted = resource in (None, self.grant.resource)
        if self.superseded_at is not None and now >= self.superseded_at + WINDOW:
            return "reuse"
        # These errors are the same for a first refresh and a retry, and so do not show who has refreshed.
        if not is_granted:
            return "invalid_target"
        if not set(wanted) <= set(granted):
            return "invalid_scope"
        if self.superseded_at is None:
            return "next"
        # The role may have changed since the newest tokens.
        return "again" if set(wanted) ^ set(newest.scopes) <= {facts.EDITORS_SCOPE} else REFUSED


class Code(Struct, eq=False, kw_only=True):
    text: str
    user: User
    client: Registered
    redirect_uri: str
    scopes: tuple[str, ...]
    resource: str
    until: int
    grant: Grant | None = None
    replayed: bool = False

    def again(self, user: User, now: int) -> str:
        """Return the result of a repeated answer: the same code until it is redeemed."""
        if self.grant is not None:
            return "connected"
        return "code" if user is self.user and now < self.until else "spent"


AllowedScope = tuple[User, Registered, str, str, str]
"""One allowed scope: user, client, redirect host, resource and scope."""


def host_of(redirect_uri: str) -> str:
    return redirect_uri.split("/")[2].split(":", maxsplit=1)[0]


def asked_scopes(ask: Ask) -> tuple[str, ...]:
    """Return the requested scopes that are known; without a request `openid`."""
    if ask.scope is None:
        return ("openid",)
    return tuple(scope for scope in ask.scope.split() if scope in facts.SCOPES)


def allowed_scopes(tab: Tab, user: User, scopes: tuple[str, ...]) -> set[AllowedScope]:
    """Return everything that a user consents to by allowing these scopes of the request of the tab."""
    host = host_of(tab.redirect_uri)
    return {(user, tab.client, host, tab.resource, scope) for scope in scopes}


def page_of(tab: Tab, allowed: set[AllowedScope], now: int) -> str:
    """Return what the tab must show: promise 7."""
    session = tab.browser.session(now)
    if not tab.is_open(now):
        return "expired"
    if tab.client.deleted:
        return "unknown client"
    if tab.client.disabled:
        return "disabled client"
    if session is None or tab.needs_sign_in(session):
        return "sign in"
    if tab.code is not None:
        return tab.code.again(session.user, now)
    # On loopback any program may listen, so a remembered consent counts only for https.
    consents = allowed_scopes(tab, session.user, session.user.may_grant(tab.scopes))
    is_remembered = consents <= allowed and tab.redirect_uri != facts.LOOPBACK
    return "code" if is_remembered and tab.prompt != "consent" else "consent"


def shown_at_authorize(tab: Tab, allowed: set[AllowedScope], now: int) -> Seen:
    """Return what a browser must be shown at /authorize."""
    page = page_of(tab, allowed, now)
    if not tab.client.is_usable:
        return Seen(page)
    if tab.redirect_uri not in tab.client.program.redirect_uris:
        return Seen("wrong redirect URI")
    if tab.resource == facts.ELSEWHERE:
        return Seen("error", "invalid_target")
    if not tab.scopes:
        return Seen("error", "invalid_scope")
    if tab.prompt == "none" and page in _WITHOUT_A_PAGE:
        return Seen("error", _WITHOUT_A_PAGE[page])
    return Seen(page)


_WITHOUT_A_PAGE = {"sign in": "login_required", "consent": "consent_required"}
