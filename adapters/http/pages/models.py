"""What each page is told. Times are UTC seconds; `place` is a transaction id, or that of the account."""

from msgspec import Struct


class Page(Struct, frozen=True, kw_only=True):
    base_path: str


class FormPage(Page, frozen=True, kw_only=True):
    place: str
    csrf_token: str


class SignInPage(FormPage, frozen=True, kw_only=True):
    """`resource_name` is None where nobody asks and somebody came for their own account."""

    client_name: str | None = None
    resource_name: str | None = None
    email: str = ""
    problem: str | None = None
    notice: str | None = None
    offers_sign_up: bool = False


class SignUpPage(FormPage, frozen=True, kw_only=True):
    """`at` names the field that the problem is about: email or password."""

    min_password: int
    email: str = ""
    problem: str | None = None
    at: str | None = None


class SignInAgainPage(Page, frozen=True, kw_only=True):
    login_page: str


class ScopeLine(Struct, frozen=True):
    scope: str
    words: str


class ConsentPage(FormPage, frozen=True, kw_only=True):
    """`built_in` and `logout_page` are as on the account page."""

    user_name: str
    built_in: bool = True
    logout_page: str | None = None
    client_name: str | None
    client_id: str
    client_uri: str | None
    redirect_host: str
    is_loopback: bool
    is_private_use: bool
    self_registered: bool
    scopes: tuple[ScopeLine, ...]
    resource: str
    resource_name: str


class AppAccess(Struct, frozen=True, kw_only=True):
    resource: str
    resource_name: str
    scopes: tuple[ScopeLine, ...]


class App(Struct, frozen=True, kw_only=True):
    """A connected app. `since` is None where only a remembered yes is left of it."""

    client_id: str
    client_name: str | None
    hosts: tuple[str, ...]
    access: tuple[AppAccess, ...]
    connections: int
    since: int | None
    last_refresh: int | None
    disabled: bool


class AccountPage(FormPage, frozen=True, kw_only=True):
    """`built_in`: password and sessions are ours. Else `logout_page` is the host's, if it has one."""

    user_name: str
    apps: tuple[App, ...]
    built_in: bool
    logout_page: str | None = None
    notice: str | None = None


class PasswordPage(FormPage, frozen=True, kw_only=True):
    """`at` names the field that the problem is about: old or new."""

    user_name: str
    min_password: int
    problem: str | None = None
    at: str | None = None


class Link(Struct, frozen=True):
    words: str
    path: str


class ErrorPage(Page, frozen=True, kw_only=True):
    title: str
    explanation: str
    way_out: tuple[str, ...]
    links: tuple[Link, ...] = ()
    correlation_id: str
