"""What the machine of the whole server and the systems under test tell each other."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

CODE_LIFETIME = 300
ACCESS_LIFETIME = 900
REFRESH_LIFETIME = 2_400
GRANT_LIFETIME = 6_000
WINDOW = 60
SESSION_LIFETIME = 4_000
TRANSACTION_LIFETIME = 600

FILES = "https://mcp.example/mcp"
NOTES = "https://mcp.example/notes/mcp"
ELSEWHERE = "https://elsewhere.example/mcp"
SCOPES = ("openid", "notes:read", "notes:write")
EDITORS_SCOPE = "notes:write"
"""The scope that needs the role `editor`."""

EDITOR = "https://editor.example/callback"
MIRROR = "https://mirror.example/callback"
LOOPBACK = "http://127.0.0.1:3118/callback"
"""Its port is below those at which the servers of tests listen."""

REPLAYED = "authorization_code.replayed.v1"
REUSED = "token_grant.refresh_token_reused.v1"
OPENED = "token_grant.opened.v1"
REGISTERED = "client.registered.v1"
EVIDENCE = (REPLAYED, REUSED, OPENED, REGISTERED)
"""The events that the promises speak of."""


class Program(Struct, frozen=True, kw_only=True):
    """What a client says of itself when it registers."""

    name: str
    redirect_uris: tuple[str, ...]
    auth_method: str = "none"
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")

    @property
    def is_public(self) -> bool:
        return self.auth_method == "none"


class RegistrationAnswer(Struct, frozen=True):
    """An answer to a registration: the status of HTTP and the members of the JSON."""

    status: int
    members: dict[str, Any]


class Credentials(Struct, frozen=True):
    client_id: str
    secret: str | None


class Ask(Struct, frozen=True, kw_only=True):
    """What a client sends the browser to /authorize with."""

    redirect_uri: str | None = None
    scope: str | None = None
    resource: str | None = None
    prompt: str | None = None


class Seen(Struct, frozen=True):
    """Where the browser ends.

    `what` is "sign in" or "consent" with the page as `text`, "code" with the code, "error" with its code,
    or the name of the page that refuses.
    """

    what: str
    text: str = ""


class Pair(Struct, frozen=True):
    """A token response."""

    access: str
    refresh: str | None
    scopes: tuple[str, ...]
    expires_in: int


class Session(Struct, frozen=True):
    """The user and client of an access token, as a resource server learns them."""

    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    resource: str
    expires_at: int


class Redemption(Struct, frozen=True, kw_only=True):
    code: str
    redirect_uri: str
    verifier: str | None = None
    """None: the right one. An empty one is not sent."""
    resource: str | None = None


class ServerUnderTest(Protocol):
    """A whole server. Refused requests of clients are answered with the error code as a text."""

    salt: str
    """What makes names of this run differ from those of all others on the same server."""

    own_page: str
    """A redirect URI that would lead to the server's own pages."""

    @property
    def now(self) -> int: ...

    def advance(self, seconds: int) -> None: ...

    def open_account(self) -> tuple[str, str]:
        """Return the id and the e-mail address of a new user, who has no role."""
        ...

    def register(self, body: bytes) -> RegistrationAnswer: ...

    def prove(self, authorization: list[str], form: dict[str, str]) -> str:
        """Return "" when a client has proven itself by headers and form, or the error code."""
        ...

    def disable_client(self, client_id: str) -> None: ...

    def delete_client(self, client_id: str) -> None: ...

    def disable_user(self, user_id: str) -> None: ...

    def change_role(self, user_id: str, *, is_editor: bool) -> None: ...

    def authorize(self, browser: str, client_id: str, ask: Ask) -> tuple[str, Seen]:
        """Send a browser, a new one for a new name, to /authorize; name the tab in which it ends."""
        ...

    def look(self, tab: str) -> Seen: ...

    def sign_in(self, tab: str, email: str, *, right: bool) -> Seen: ...

    def decide(self, tab: str, *, allowed: bool, kept: bool) -> Seen:
        """Send the form that the tab shows. If `kept`, send the cookie that an earlier answer deleted too."""
        ...

    def sign_out(self, tab: str) -> Seen: ...

    def redeem(self, credentials: Credentials, redemption: Redemption) -> Pair | str: ...

    def refresh(
        self, credentials: Credentials, token: str, *, scope: str | None, resource: str | None
    ) -> Pair | str: ...

    def revoke(self, credentials: Credentials, token: str) -> str:
        """Return "" when the token is revoked, or the error code."""
        ...

    def sessions(self, asked: Sequence[tuple[str, str | None]]) -> list[Session | None]:
        """Look up the session of each token, at that resource or at the one that it is for."""
        ...

    def recorded(self) -> Counter[str]:
        """Count the events of each tag in `EVIDENCE` since the run began."""
        ...

    def close(self) -> None: ...
