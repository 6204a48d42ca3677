"""What clients write into a registration, honest ones and others, and what a server makes of each member."""

from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

HTTPS, LOOPBACK, PRIVATE, OUTSIDE, FORBIDDEN = "https", "loopback", "private", "outside", "forbidden"

OWN_PAGE = "(a page of the server)"
"""A placeholder: each system under test has a redirect URI of its own for it."""

REDIRECT_URIS = {
    "https://client.example/callback": HTTPS,
    "https://client.example/callback?tenant=1": HTTPS,
    "https://client.example:8443/callback": HTTPS,
    "https://localhost/callback": LOOPBACK,
    "http://127.0.0.1:3118/callback": LOOPBACK,
    "http://127.0.0.1:49152/callback": LOOPBACK,
    "http://localhost/callback": LOOPBACK,
    "http://[::1]:3118/": LOOPBACK,
    "com.example.app:/callback": PRIVATE,
    "cursor://anysphere.cursor-mcp/oauth/callback": PRIVATE,
    "vscode://publisher.extension/callback": PRIVATE,
    "zed://oauth/callback": PRIVATE,
    "http://client.example/callback": OUTSIDE,
    "http://192.168.0.1/callback": OUTSIDE,
    "unknownapp://callback": OUTSIDE,
    "vscode://file/etc/passwd": OUTSIDE,
    "cursor://anysphere.cursor-deeplink/prompt?text=delete": OUTSIDE,
    "zed://elsewhere/callback": OUTSIDE,
    "https://CLIENT.example/": OUTSIDE,
    "https://client_one.example/": OUTSIDE,
    OWN_PAGE: FORBIDDEN,
    "javascript:alert(1)": FORBIDDEN,
    "JavaScript:alert(1)": FORBIDDEN,
    "data:text/html,x": FORBIDDEN,
    "file:///etc/passwd": FORBIDDEN,
    "/relative": FORBIDDEN,
    "": FORBIDDEN,
    "https:/client.example/": FORBIDDEN,
    "https://client.example/call back": FORBIDDEN,
    "https://client.example/\ncallback": FORBIDDEN,
    "https://client.example/\\callback": FORBIDDEN,
    "https://client.example/callback#fragment": FORBIDDEN,
    "https://client.example@evil.example/": FORBIDDEN,
    "https://client.example:99999/": FORBIDDEN,
    "http://127.1/callback": FORBIDDEN,
    "https://client.example/a/../b": FORBIDDEN,
    "https://client.example/" + "a" * 2_048: FORBIDDEN,
}
MANY = [f"https://client.example/{number}" for number in range(21)]

KEPT_TEXTS: dict[str | None, str | None] = {
    "Editor": "Editor",
    "Éditeur 編集者": "Éditeur 編集者",
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    "  two \t words\n": "two words",
    "\u202eevil\u200b name": "evil name",
    "\u200b": None,
    "": None,
    None: None,
    "x" * 300: "x" * 200,
}
KEPT_LINKS: dict[str | None, str | None] = {
    "https://client.example/about": "https://client.example/about",
    "http://client.example/": "http://client.example/",
    "javascript:alert(1)": None,
    "https://claude.example@evil.example/": None,
    "nowhere": None,
    "": None,
    None: None,
}
TEXTS = ("client_name", "software_version")
LINKS = ("client_uri", "logo_uri", "tos_uri", "policy_uri")

_MALFORMED: tuple[tuple[str, Any], ...] = (
    ("redirect_uris", "https://client.example/"),
    ("redirect_uris", [5]),
    ("client_name", 5),
    ("scope", ["openid"]),
    ("grant_types", {"authorization_code": True}),
)
IGNORED: tuple[tuple[str, Any], ...] = (
    ("contacts", ["ada@example.com"]),
    ("jwks_uri", "https://client.example/jwks"),
    ("client_id", "glc_chosen"),
    ("client_secret", "chosen"),
    ("client_id_issued_at", 1),
    ("x", {"y": [1, None, {"z": "\u0000"}]}),
)

_DEEP = 30_000
MALFORMED_BODIES = (
    b"",
    b"redirect_uris=https://client.example/",
    b'{"redirect_uris": ["https://client.example/"]',
    b'["https://client.example/"]',
    b'"https://client.example/"',
    b'{"redirect_uris": ["https://client.example/"], "client_name": "\xff"}',
    b'{"redirect_uris": ["https://client.example/"], "client_name": "\\ud800"}',
    b'{"redirect_uris": ["https://client.example/"], "x": ' + b"[" * _DEEP + b"]" * _DEEP + b"}",
)

MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "token_endpoint_auth_method": st.sampled_from(
        ["client_secret_basic", "client_secret_post", "none", None, "", "private_key_jwt"]
    ),
    "token_endpoint_auth_methods_supported": st.sampled_from(
        [["private_key_jwt", "none"], ["client_secret_post"], ["private_key_jwt"], [], None]
    ),
    "grant_types": st.sampled_from(
        [
            ["refresh_token", "authorization_code"],
            ["authorization_code"],
            ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
            ["client_credentials"],
            ["refresh_token"],
            [],
            None,
        ]
    ),
    "response_types": st.sampled_from([["code"], ["token", "code"], ["token"], [], None]),
    "scope": st.sampled_from(
        [
            "openid notes:read",
            " notes:read  openid unknown notes:read ",
            "unknown",
            'un"known email',
            "",
            None,
        ]
    ),
    "application_type": st.sampled_from(["web", "native", "other", None]),
    **{name: st.sampled_from(list(KEPT_TEXTS)) for name in TEXTS},
    **{name: st.sampled_from(list(KEPT_LINKS)) for name in LINKS},
}


class Member(Struct, frozen=True):
    name: str
    value: Any


def redirect_uris() -> st.SearchStrategy[Any]:
    """Return redirect URIs to register: good ones, most often with one of any kind among them."""
    by_kind = [
        [uri for uri, kind in REDIRECT_URIS.items() if kind == one] for one in (HTTPS, LOOPBACK, PRIVATE)
    ]
    good = st.sampled_from([uri for uris in by_kind for uri in uris])
    anyone = st.sampled_from(list(REDIRECT_URIS))
    several = st.lists(good, min_size=1, max_size=3)
    with_one = st.builds(lambda uris, uri: [*uris[:1], uri, *uris[1:]], several, anyone)
    some = st.one_of(several, with_one, with_one, st.lists(anyone, max_size=4))
    return some | st.sampled_from([MANY[:20], MANY, None])


def members() -> st.SearchStrategy[Member]:
    """Return one other member of a registration; malformed and unknown ones are rare."""
    usual = st.sampled_from(list(MEMBERS)).flatmap(
        lambda name: st.builds(Member, st.just(name), MEMBERS[name])
    )
    odd = st.sampled_from([Member(*pair) for pair in (*IGNORED, *_MALFORMED)])
    return st.one_of(usual, usual, usual, odd)


def is_malformed(body: dict[str, Any]) -> bool:
    return any(pair in _MALFORMED for pair in body.items())
