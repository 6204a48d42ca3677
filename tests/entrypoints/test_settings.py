import base64
import ipaddress
from pathlib import Path

import msgspec
import pytest

from grantledger.application.policy import ServerPolicy
from grantledger.domain.resource_indicator import Resource
from grantledger.entrypoints.settings import Settings, SettingsInvalid, load_settings

SECRET = base64.b64encode(bytes(range(32))).decode()
PUBLIC = {"host": "0.0.0.0", "issuer": "https://auth.example.com", "master_secret": SECRET}


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """No `grantledger.toml` but the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def given(**overrides: object) -> Settings:
    return load_settings(None, {}, overrides)


def in_environment(**variables: str) -> Settings:
    return load_settings(None, {f"GRANTLEDGER_{key.upper()}": text for key, text in variables.items()}, {})


def in_file(text: str) -> Settings:
    path = Path("settings.toml")
    path.write_text(text, encoding="utf-8")
    return load_settings(path, {}, {})


def sentence(read, *args, **kwargs) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        read(*args, **kwargs)
    return str(refused.value)


# Where settings come from


def test_needs_none():
    assert given() == Settings()


def test_a_variable_wins_over_the_file():
    Path("grantledger.toml").write_text("port = 8001\nrealm = 'file'", encoding="utf-8")
    settings = in_environment(port="8002")
    assert (settings.port, settings.realm) == (8002, "file")


def test_the_command_line_wins_over_a_variable():
    assert load_settings(None, {"GRANTLEDGER_PORT": "8002"}, {"port": 8003}).port == 8003


def test_an_option_that_was_not_given_wins_over_nothing():
    assert load_settings(None, {"GRANTLEDGER_PORT": "8002"}, {"port": None}).port == 8002


def test_an_option_may_be_a_path():
    assert given(database=Path("here.sqlite3")).database == "here.sqlite3"


def test_reads_the_file_in_the_working_directory_when_there_is_one():
    Path("grantledger.toml").write_text("port = 8001", encoding="utf-8")
    assert given().port == 8001


def test_reads_the_file_that_a_variable_names(tmp_path):
    (tmp_path / "named.toml").write_text("port = 8001", encoding="utf-8")
    assert in_environment(config=str(tmp_path / "named.toml")).port == 8001


def test_the_file_of_the_command_line_wins_over_the_one_that_a_variable_names():
    Path("option.toml").write_text("port = 8001", encoding="utf-8")
    assert load_settings(Path("option.toml"), {"GRANTLEDGER_CONFIG": "missing.toml"}, {}).port == 8001


def test_other_variables_are_no_business_of_ours():
    assert load_settings(None, {"PORT": "8001", "HOME": "/root"}, {}) == Settings()


def test_a_named_file_that_is_missing_stops_the_start():
    assert sentence(load_settings, Path("gone.toml"), {}, {}) == (
        "config names a file that cannot be read: gone.toml: No such file or directory"
    )


def test_a_missing_file_that_a_variable_names_is_told_by_the_variable():
    assert sentence(in_environment, config="gone.toml").startswith("GRANTLEDGER_CONFIG names a file")


def test_a_file_that_is_no_toml_stops_the_start():
    assert sentence(in_file, "port 8000").startswith("config names a file that is not TOML: settings.toml: ")


def test_a_file_that_is_no_text_stops_the_start(tmp_path):
    (tmp_path / "grantledger.toml").write_bytes(b"\xff")
    assert sentence(given).startswith("config names a file that is not TOML: grantledger.toml: ")


# How lists are written


@pytest.mark.parametrize("text", ["a b", "a,b", " a,  b ", '["a", "b"]', "a\nb"])
def test_a_list_in_a_variable_has_spaces_or_commas_between_or_is_json(text):
    assert in_environment(scopes=f"{text}", default_scope="a").scopes == ("a", "b")


@pytest.mark.parametrize("written", ['"a b"', '["a", "b"]'])
def test_a_list_in_the_file_may_be_one_text(written):
    assert in_file(f'scopes = {written}\ndefault_scope = "a"').scopes == ("a", "b")


def test_resources_are_tables_in_the_file():
    settings = in_file(
        """
        [[resources]]
        identifier = "https://api.example.com/mcp"
        name = "Notes"
        scopes = "notes:read notes:write"
        [[resources]]
        identifier = "https://api.example.com/other/mcp"
        scopes = ["other"]
        """
    )
    assert settings.protected_resources == (
        Resource("https://api.example.com/mcp", "Notes", ("notes:read", "notes:write")),
        Resource("https://api.example.com/other/mcp", "", ("other",)),
    )


def test_resources_are_json_in_a_variable():
    settings = in_environment(resources='[{"identifier": "https://api.example.com/mcp", "scopes": ["a"]}]')
    assert settings.protected_resources == (Resource("https://api.example.com/mcp", "", ("a",)),)


# What is unknown or of the wrong type


def test_an_unknown_key_is_named_with_its_file():
    assert sentence(in_file, "prot = 8000") == "prot is no setting, did you mean port? (from settings.toml)"


def test_an_unknown_variable_is_named():
    assert (
        sentence(in_environment, isuer="x")
        == "isuer is no setting, did you mean issuer? (from GRANTLEDGER_ISUER)"
    )


def test_an_unknown_option_is_named():
    assert sentence(given, zzz=1) == "zzz is no setting (from the command line)"


def test_a_table_of_settings_is_unknown():
    assert sentence(in_file, "[server]\nport = 8000").startswith("server is no setting")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("port = '8000'", "port must be a whole number"),
        ("port = 1.5", "port must be a whole number"),
        ("port = true", "port must be a whole number"),
        ("grant_expires_in = 'never'", "grant_expires_in must be a whole number"),
        ("host = 1", "host must be a text"),
        ("issuer = []", "issuer must be a text"),
        ("scopes = 1", "scopes must be a list of texts"),
        ("scopes = [1]", "scopes must be a list of texts"),
        ("resources = [1]", "resources must be a list of tables"),
        (
            "resources = [{}]",
            "resources must be a list of tables: Object missing required field `identifier`",
        ),
        (
            "resources = [{identifier = 'x', nam = 'y'}]",
            "resources must be a list of tables: Object contains",
        ),
        ("resources = [{identifier = 'x', scopes = 1}]", "resources must be a list of tables"),
    ],
)
def test_a_wrong_type_in_the_file_is_named(text, start):
    assert sentence(in_file, text).startswith(start)


@pytest.mark.parametrize(
    ("key", "text"),
    [("port", "eighty"), ("port", ""), ("port", "1.5"), ("resources", "x"), ("scopes", '["a"')],
)
def test_a_wrong_type_in_a_variable_is_named(key, text):
    told = sentence(in_environment, **{key: text})
    assert told.startswith(f"{key} must be a")
    assert told.endswith(f"(from GRANTLEDGER_{key.upper()})")


# What breaks a rule


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("port", 1, 65_535),
        ("code_expires_in", 1, 600),
        ("access_token_expires_in", 1, 2_592_000),
        ("refresh_token_expires_in", 1, 31_536_000),
        ("grant_expires_in", 1, 315_360_000),
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
        ("database", "postgresql://me:password@host/db"),
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
        ("resource", ""),
        ("resource", "http://api.example.com/mcp"),
        ("resource", "https://api.example.com/mcp#a"),
        ("resources", [{"identifier": "mcp"}]),
        ("resources", [{"identifier": "https://a.example/"}, {"identifier": "https://A.example:443"}]),
        ("resources", [{"identifier": "https://a.example/", "scopes": ['"']}]),
        ("scopes", ["openid", "a b"]),
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
    ],
)
def test_a_bad_value_is_named_with_its_source(key, value):
    told = sentence(given, **{key: value})
    assert told.startswith(f"{key} ")
    assert told.endswith(" (from the command line)")


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


def test_a_url_for_the_database_is_not_shown():
    assert "password" not in sentence(given, database="postgresql://me:password@host/db")


def test_a_bad_master_secret_is_not_shown():
    assert "hunter2" not in sentence(given, master_secret="hunter2!")


def test_settings_do_not_show_the_master_secret():
    assert SECRET not in repr(given(master_secret=SECRET))


def test_settings_show_everything_else():
    shown = repr(given())
    assert {key for key in Settings.__struct_fields__ if f"{key}=" not in shown} == {"master_secret"}


def test_one_resource_and_several_exclude_each_other():
    told = sentence(given, resource="https://a.example", resources=[{"identifier": "https://b.example"}])
    assert told == "resources must not be set together with resource (from the command line)"


def test_a_secret_and_a_file_of_them_exclude_each_other():
    told = sentence(load_settings, None, {"GRANTLEDGER_MASTER_SECRET": SECRET}, {"master_secret_file": "x"})
    assert (
        told
        == "master_secret must not be set together with master_secret_file (from GRANTLEDGER_MASTER_SECRET)"
    )


def test_a_logout_page_without_a_login_page_is_refused():
    assert sentence(given, logout_page="/logout").startswith("logout_page must not be set without login_page")


def test_sign_up_is_the_hosts_where_its_login_page_is():
    told = sentence(given, login_page="/login", sign_up=True)
    assert told.startswith("sign_up must be false with login_page")


def test_a_retry_never_gets_an_access_token_that_has_expired():
    assert sentence(given, access_token_expires_in=60).startswith(
        "refresh_reuse_window must be less than access_token_expires_in, which is 60, not 60"
    )


def test_the_default_scope_may_be_one_of_a_resource():
    resources = [{"identifier": "https://a.example", "scopes": "notes"}]
    assert given(resources=resources, default_scope="notes").default_scope == ("notes",)


def test_rules_hold_for_settings_made_by_a_program():
    with pytest.raises(SettingsInvalid, match="port must be from 1 to 65535, not 0"):
        Settings(port=0)


# Away from loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "auth.example.com"])
def test_starts_anywhere_with_an_https_issuer_and_a_secret(host):
    assert not given(**PUBLIC | {"host": host}).is_loopback


def test_starts_anywhere_with_a_file_of_secrets():
    settings = given(host="0.0.0.0", issuer="https://auth.example.com", master_secret_file="secrets")
    assert not settings.is_loopback


@pytest.mark.parametrize("change", [{"host": "127.0.0.1"}, {"issuer": "https://127.0.0.1"}])
def test_the_host_and_the_issuer_both_decide_what_loopback_is(change):
    assert sentence(given, **PUBLIC | change | {"master_secret": None}).startswith(
        "master_secret is missing: "
    )


def test_a_missing_issuer_stops_the_start_away_from_loopback():
    assert sentence(given, **PUBLIC | {"issuer": None}) == (
        "issuer is missing: with host '0.0.0.0', say at which https URL clients reach this server"
    )


def test_a_missing_https_stops_the_start_away_from_loopback():
    assert sentence(given, **PUBLIC | {"issuer": "http://127.0.0.1:8000"}) == (
        "issuer must be https, not 'http://127.0.0.1:8000', because host '0.0.0.0' is not loopback"
        " (from the command line)"
    )


def test_a_missing_secret_stops_the_start_away_from_loopback():
    assert sentence(given, **PUBLIC | {"master_secret": None}) == (
        "master_secret is missing: away from loopback, set it or master_secret_file"
    )


def test_a_throw_away_database_stops_the_start_away_from_loopback():
    assert sentence(given, **PUBLIC, database=":memory:") == (
        "database must be a file: away from loopback, ':memory:' loses grants (from the command line)"
    )


def test_a_throw_away_database_is_fine_on_loopback():
    assert given(database=":memory:").is_loopback


# What follows from the settings


@pytest.mark.parametrize(
    ("host", "issuer"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001"),
        ("localhost", "http://localhost:8001"),
        ("::1", "http://[::1]:8001"),
    ],
)
def test_the_issuer_on_loopback_is_where_the_server_listens(host, issuer):
    assert given(host=host, port=8001).issuer_identifier == issuer


@pytest.mark.parametrize("issuer", ["https://localhost", "https://localhost/", "https://localhost:443/auth"])
def test_the_issuer_is_byte_for_byte_what_was_written(issuer):
    assert given(issuer=issuer).issuer_identifier == issuer


@pytest.mark.parametrize(
    ("issuer", "base_path"),
    [
        ("https://localhost", ""),
        ("https://localhost/", ""),
        ("https://localhost/auth", "/auth"),
        ("https://localhost/a/b/", "/a/b"),
    ],
)
def test_the_endpoints_live_under_the_path_of_the_issuer(issuer, base_path):
    assert given(issuer=issuer).base_path == base_path


@pytest.mark.parametrize("issuer", ["https://localhost/auth", "https://localhost/auth/"])
def test_without_resources_there_is_one_under_the_issuer(issuer):
    assert given(issuer=issuer).protected_resources == (Resource("https://localhost/auth/mcp"),)


def test_one_resource_is_the_only_one():
    assert given(resource="https://a.example").protected_resources == (Resource("https://a.example"),)


def test_trusted_proxies_are_networks():
    assert given(trusted_proxies="10.0.0.0/8 ::1").trusted_networks == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )


def test_the_policy_is_what_the_use_cases_need_of_the_settings():
    settings = given(
        issuer="https://localhost",
        resources=[{"identifier": "https://a.example", "name": "A", "scopes": "a"}],
        scopes="openid",
        private_use_redirect_uris="myapp",
        code_expires_in=1,
        access_token_expires_in=61,
        refresh_token_expires_in=3,
        grant_expires_in=4,
        refresh_reuse_window=5,
        browser_session_expires_in=6,
    )
    assert settings.policy == ServerPolicy(
        issuer="https://localhost",
        resources=(Resource("https://a.example", "A", ("a",)),),
        server_scopes=("openid",),
        default_scope=("openid",),
        private_use_redirect_uris=("myapp",),
        code_lifetime=1,
        access_token_lifetime=61,
        refresh_token_lifetime=3,
        grant_lifetime=4,
        refresh_reuse_window=5,
        browser_session_lifetime=6,
    )


def test_the_defaults_are_those_of_the_manual():
    assert msgspec.structs.asdict(given()) == {
        "host": "127.0.0.1",
        "port": 8000,
        "issuer": None,
        "database": "grantledger.sqlite3",
        "realm": "main",
        "login_page": None,
        "logout_page": None,
        "sign_up": False,
        "resource": None,
        "resources": (),
        "scopes": ("openid", "profile", "email", "offline_access"),
        "default_scope": ("openid",),
        "code_expires_in": 600,
        "access_token_expires_in": 3600,
        "refresh_token_expires_in": 604_800,
        "grant_expires_in": None,
        "refresh_reuse_window": 60,
        "browser_session_expires_in": 86_400,
        "private_use_redirect_uris": (),
        "master_secret": (),
        "master_secret_file": None,
        "trusted_proxies": (),
        "max_connections": 1_000,
        "log_format": None,
        "log_level": "info",
        "sign_in_attempts": "10/hour",
        "client_secret_attempts": "30/hour",
        "registrations": "1000/hour",
        "registrations_per_address": "200/hour",
    }
