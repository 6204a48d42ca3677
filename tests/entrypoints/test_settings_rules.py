"""A server does not start if a setting breaks a rule of its own, with another setting, or off loopback."""

import pytest

from grantledger.entrypoints.settings import Settings, SettingsInvalid
from grantledger.entrypoints.settings_sources import load_settings
from support.given_settings import PUBLIC, SECRET, given, sentence


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """No `grantledger.toml` but the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("port", 1, 65_535),
        ("code_expires_in", 1, 600),
        ("access_token_expires_in", 1, 2_592_000),
        ("refresh_token_expires_in", 1, 31_536_000),
        ("grant_expires_in", 0, 315_360_000),
        ("unused_client_expires_in", 0, 315_360_000),
        ("refresh_reuse_window", 0, 300),
        ("browser_session_expires_in", 1, 2_592_000),
    ],
)
def test_every_number_has_bounds(key, low, high):
    others = {} if key == "refresh_reuse_window" else {"refresh_reuse_window": 0}
    for value in (low, high):
        assert getattr(given(**others, **{key: value}), key) == value
    for value in (low - 1, high + 1):
        expected = f"{key} must be from {low} to {high}, not {value} (from the command line)"
        assert sentence(given, **others, **{key: value}) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host", ""),
        ("host", "http://127.0.0.1"),
        ("host", "[::1]"),
        ("host", "127.0.0.1:8000"),
        ("issuer", ""),
        ("issuer", "auth.example.com"),
        ("issuer", "http://auth.example.com"),
        ("issuer", "ftp://127.0.0.1"),
        ("issuer", "https://auth.example.com?"),
        ("issuer", "https://auth.example.com?a=b"),
        ("issuer", "https://auth.example.com#"),
        ("issuer", "https://me@auth.example.com"),
        ("issuer", "https://Auth.example.com"),
        ("issuer", "https://auth.example.com//a"),
        ("issuer", "https://auth.example.com/%61"),
        ("issuer", "https://auth.example.com/a;b"),
        ("issuer", "https://auth.example.com/../a"),
        ("database", ""),
        ("database", "a\0b"),
        ("database", "postgresql://me:password@host"),
        ("database", "mysql://me:password@host/db"),
        ("database", "file::memory:?cache=shared"),
        ("realm", ""),
        ("realm", "Main"),
        ("realm", "-main"),
        ("realm", "a" * 64),
        ("login_page", ""),
        ("login_page", "sign-in"),
        ("login_page", "//evil.example.com/"),
        ("login_page", "/a/../b"),
        ("login_page", "/sign-in#top"),
        ("login_page", "http://app.example.com/sign-in"),
        ("login_page", "https://me@app.example.com/sign-in"),
        ("login_page", "javascript:alert(1)"),
        ("service_documentation", "/docs"),
        ("service_documentation", "javascript:alert(1)"),
        ("resource", ""),
        ("resource", "http://api.example.com/mcp"),
        ("resource", "https://api.example.com/mcp#a"),
        ("resources", [{"identifier": "mcp"}]),
        ("resources", [{"identifier": "https://a.example/"}, {"identifier": "https://A.example:443"}]),
        ("resources", [{"identifier": "https://a.example/", "scopes": ['"']}]),
        ("resources", [{"identifier": "https://a.example/", "better_auth_path": "api/auth"}]),
        ("resources", [{"identifier": "https://a.example/", "better_auth_path": "/api/auth/"}]),
        ("resources", [{"identifier": "https://a.example/", "better_auth_path": "/a/../b"}]),
        (
            "resources",
            [{"identifier": f"https://{name}.example", "better_auth_path": "/api/auth"} for name in "ab"],
        ),
        ("resources", [{"identifier": "https://a.example/", "better_auth_path": "/authorize"}]),
        ("resources", [{"identifier": "https://a.example/", "better_auth_path": "/authorize/b"}]),
        ("scopes", ["openid", "a b"]),
        ("roles", {"two words": {}}),
        ("roles", {"editor": {"permissions": ["two words"]}}),
        ("roles", {"editor": {"scopes": ["ä"]}}),
        ("roles", {f"role-{number}": {} for number in range(101)}),
        ("scopes", ["openid", "ä"]),
        ("default_scope", []),
        ("default_scope", "openid notes"),
        ("private_use_redirect_uris", ["javascript"]),
        ("private_use_redirect_uris", ["https://example.com/"]),
        ("private_use_redirect_uris", ["myapp://callback#a"]),
        ("master_secret", "c2hvcnQ="),
        ("master_secret", "not base64!"),
        ("master_secret", [SECRET, SECRET]),
        ("master_secret_file", ""),
        ("trusted_proxies", "proxy.example.com"),
        ("log_format", "text"),
        ("log_level", "INFO"),
        ("sign_in_attempts", "10"),
        ("sign_in_attempts", "0/hour"),
        ("client_secret_attempts", "10/week"),
        ("registrations", "-1/day"),
        ("registrations_per_address", "unlimited"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "0.0.0.0/0"),
        ("trusted_proxies", "10.0.0.0/8 ::/0"),
    ],
)
def test_a_bad_value_is_named_with_its_source(key, value):
    message = sentence(given, **{key: value})
    assert message.startswith(f"{key} ")
    assert message.endswith(" (from the command line)")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host", "::1"),
        ("host", "localhost"),
        ("issuer", "https://localhost:8443"),
        ("issuer", "http://[::1]:8000/"),
        ("issuer", "http://localhost:8000/auth/"),
        ("database", "/var/lib/grantledger/ledger.sqlite3"),
        ("realm", "tenant-7_a"),
        ("login_page", "/sign-in?theme=dark"),
        ("login_page", "https://app.example.com/sign-in"),
        ("login_page", "http://localhost:3000/sign-in"),
        ("resource", "http://localhost:8000/mcp"),
        ("resource", "https://api.example.com"),
        ("private_use_redirect_uris", ("myapp", "myapp://callback")),
        ("master_secret_file", "/run/secrets/grantledger"),
        ("trusted_proxies", ("10.0.0.0/8", "::1", "127.0.0.1")),
    ],
)
def test_a_good_value_is_kept_as_it_is_written(key, value):
    assert getattr(given(**{key: value}), key) == value


@pytest.mark.parametrize("url", ["postgresql://me:password@host", "mysql://me:password@host/db"])
def test_a_bad_url_for_the_database_is_not_shown(url):
    assert "password" not in sentence(given, database=url)


POSTGRESQL = {
    "database": "postgresql://me:password@host:5433/db?sslmode=verify-full",
    "master_secret": SECRET,
}


def test_a_url_for_postgresql_is_shown_without_user_password_and_options():
    assert given(**POSTGRESQL).database_name == "postgresql://host:5433/db"
    assert "password" not in repr(given(**POSTGRESQL))


def test_postgresql_needs_a_master_secret_because_replicas_share_it():
    assert sentence(given, database="postgresql://host/db") == (
        "master_secret is missing: with PostgreSQL, set it or master_secret_file"
    )


def test_all_roles_and_permissions_fit_into_the_header_of_a_request():
    """Fails if a JWT of a user with all roles is longer than the 8 KiB that many servers accept."""
    permissions = [f"{number:0100}" for number in range(30)]
    fits = {"role": {"permissions": permissions}, "other": {"permissions": [*permissions, "p" * 63]}}
    assert len(given(roles=fits).roles) == 2
    fits["other"]["permissions"].append("q")
    message = sentence(given, roles=fits)
    assert message.startswith("roles must have names and permissions of at most 3072 bytes, not 3073")


def test_a_bad_master_secret_is_not_shown():
    assert "hunter2" not in sentence(given, master_secret="hunter2!")


def test_settings_do_not_show_the_master_secret():
    assert SECRET not in repr(given(master_secret=SECRET))


def test_settings_show_everything_else():
    shown = repr(given())
    assert {key for key in Settings.__struct_fields__ if f"{key}=" not in shown} == {"master_secret"}


def test_a_path_of_better_auth_is_not_where_the_servers_own_endpoints_are():
    resources = [{"identifier": "https://a.example/", "better_auth_path": "/api/auth"}]
    for path in ("", "/api", "/api/auth"):
        issuer = f"http://127.0.0.1:8000{path}"
        assert list(given(issuer=issuer, resources=resources).better_auth_issuers) == [
            "http://127.0.0.1:8000/api/auth"
        ]
    message = sentence(given, issuer="http://127.0.0.1:8000/api/auth/mcp", resources=resources)
    assert message.startswith("resources must not have better_auth_path '/api/auth': ")


def test_resource_and_resources_exclude_each_other():
    message = sentence(given, resource="https://a.example", resources=[{"identifier": "https://b.example"}])
    assert message == "resources must not be set together with resource (from the command line)"


def test_master_secret_and_its_file_exclude_each_other():
    message = sentence(
        load_settings, None, {"GRANTLEDGER_MASTER_SECRET": SECRET}, {"master_secret_file": "x"}
    )
    assert (
        message
        == "master_secret must not be set together with master_secret_file (from GRANTLEDGER_MASTER_SECRET)"
    )


def test_a_logout_page_without_a_login_page_is_refused():
    assert sentence(given, logout_page="/logout").startswith("logout_page must not be set without login_page")


def test_sign_up_is_refused_with_a_login_page():
    message = sentence(given, login_page="/login", sign_up=True)
    assert message.startswith("sign_up must be false with login_page")


def test_the_reuse_window_is_shorter_than_an_access_token():
    assert sentence(given, access_token_expires_in=30).startswith(
        "refresh_reuse_window must be less than access_token_expires_in, which is 30, not 30"
    )


@pytest.mark.parametrize("lifetime", [0, 30, 3_601])
def test_a_resource_has_a_lifetime_between_the_reuse_window_and_the_servers(lifetime):
    resources = [{"identifier": "https://a.example", "access_token_expires_in": lifetime}]
    assert sentence(given, resources=resources).startswith(
        "resources must have access_token_expires_in from 31, more than refresh_reuse_window, to 3600,"
    )


def test_a_resource_may_have_a_shorter_lifetime():
    resources = [{"identifier": "https://a.example", "access_token_expires_in": 31}]
    assert given(resources=resources).protected_resources[0].access_token_expires_in == 31


def test_the_default_scope_may_be_one_of_a_resource():
    resources = [{"identifier": "https://a.example", "scopes": "notes"}]
    assert given(resources=resources, default_scope="notes").default_scope == ("notes",)


def test_rules_hold_for_settings_made_by_a_program():
    with pytest.raises(SettingsInvalid, match="port must be from 1 to 65535, not 0"):
        Settings(port=0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "auth.example.com"])
def test_starts_anywhere_with_an_https_issuer_and_a_secret(host):
    assert not given(**PUBLIC | {"host": host}).is_loopback


def test_starts_anywhere_with_a_file_of_secrets():
    settings = given(host="0.0.0.0", issuer="https://auth.example.com", master_secret_file="secrets")
    assert not settings.is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
@pytest.mark.parametrize("issuer", ["http://localhost:8000", "http://127.0.0.1:8000/auth"])
def test_a_container_may_listen_on_all_addresses_for_an_issuer_on_loopback(host, issuer):
    assert given(host=host, issuer=issuer).is_loopback


@pytest.mark.parametrize(
    "change", [{"host": "127.0.0.1"}, {"host": "10.0.0.7", "issuer": "https://127.0.0.1"}]
)
def test_loopback_needs_both_host_and_issuer_on_loopback(change):
    assert sentence(given, **PUBLIC | change | {"master_secret": None}).startswith(
        "master_secret is missing: "
    )


def test_a_missing_issuer_prevents_the_start_away_from_loopback():
    assert sentence(given, **PUBLIC | {"issuer": None}) == (
        "issuer is missing: with host '0.0.0.0', set the https URL at which clients reach this server"
    )


def test_a_missing_https_prevents_the_start_away_from_loopback():
    assert sentence(given, **PUBLIC | {"host": "10.0.0.7", "issuer": "http://127.0.0.1:8000"}) == (
        "issuer must be https, not 'http://127.0.0.1:8000', because host '10.0.0.7' is not loopback"
        " (from the command line)"
    )


def test_a_missing_secret_prevents_the_start_away_from_loopback():
    assert sentence(given, **PUBLIC | {"master_secret": None}) == (
        "master_secret is missing: away from loopback, set it or master_secret_file"
    )


def test_a_database_in_memory_prevents_the_start_away_from_loopback():
    assert sentence(given, **PUBLIC, database=":memory:") == (
        "database must be a file: away from loopback, ':memory:' loses grants (from the command line)"
    )


def test_workers_share_no_database_in_memory():
    assert sentence(given, database=":memory:", workers=2) == (
        "workers must be 1 with database ':memory:', which no other process can open (from the command line)"
    )


def test_a_database_in_memory_is_allowed_on_loopback():
    assert given(database=":memory:").is_loopback
