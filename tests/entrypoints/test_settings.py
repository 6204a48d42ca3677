"""Settings from the file, from variables and from the command line."""

import ipaddress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from grantledger.application.policy import ServerPolicy
from grantledger.domain.resource_indicator import Resource
from grantledger.domain.role import Role, Roles
from grantledger.entrypoints.settings import ConfiguredRole, ProtectedResource, Settings
from grantledger.entrypoints.settings_sources import load_settings
from support.given_settings import given, in_environment, in_file, sentence


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """No `grantledger.toml` but the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_setting_has_a_default():
    assert given() == Settings()


def test_a_variable_wins_over_the_file():
    Path("grantledger.toml").write_text("port = 8001\nrealm = 'file'", encoding="utf-8")
    settings = in_environment(port="8002")
    assert (settings.port, settings.realm) == (8002, "file")


def test_the_command_line_wins_over_a_variable():
    assert load_settings(None, {"GRANTLEDGER_PORT": "8002"}, {"port": 8003}).port == 8003


def test_an_option_that_is_none_counts_as_not_given():
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


def test_ignores_other_variables():
    assert load_settings(None, {"PORT": "8001", "HOME": "/root"}, {}) == Settings()


def test_a_named_file_that_is_missing_prevents_the_start():
    assert sentence(load_settings, Path("gone.toml"), {}, {}) == (
        "config names a file that cannot be read: gone.toml: No such file or directory"
    )


def test_a_missing_file_is_reported_under_the_variable_that_names_it():
    assert sentence(in_environment, config="gone.toml").startswith("GRANTLEDGER_CONFIG names a file")


def test_a_file_that_is_not_toml_prevents_the_start():
    assert sentence(in_file, "port 8000").startswith("config names a file that is not TOML: settings.toml: ")


def test_a_file_that_is_not_text_prevents_the_start(tmp_path):
    (tmp_path / "grantledger.toml").write_bytes(b"\xff")
    assert sentence(given).startswith("config names a file that is not TOML: grantledger.toml: ")


@pytest.mark.parametrize("text", ["a b", "a,b", " a,  b ", '["a", "b"]', "a\nb"])
def test_a_list_in_a_variable_is_json_or_split_at_spaces_and_commas(text):
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


EDITOR = Roles([Role(name="editor", permissions=("pages:write", "pages:read"), scopes=("a", "b"))])


def test_roles_are_tables_in_the_file():
    settings = in_file(
        """
        [roles.editor]
        permissions = ["pages:write", "pages:read"]
        scopes = ["a", "b"]
        """
    )
    assert settings.policy.roles == EDITOR


def test_roles_are_json_in_a_variable():
    settings = in_environment(
        roles='{"editor": {"permissions": "pages:write pages:read", "scopes": ["a", "b"]}}'
    )
    assert settings.policy.roles == EDITOR


def test_resources_are_json_in_a_variable():
    settings = in_environment(resources='[{"identifier": "https://api.example.com/mcp", "scopes": ["a"]}]')
    assert settings.protected_resources == (Resource("https://api.example.com/mcp", "", ("a",)),)


def test_an_unknown_key_is_named_with_its_file():
    assert (
        sentence(in_file, "prot = 8000") == "prot is not a setting, did you mean port? (from settings.toml)"
    )


def test_an_unknown_variable_is_named():
    assert (
        sentence(in_environment, isuer="x")
        == "isuer is not a setting, did you mean issuer? (from GRANTLEDGER_ISUER)"
    )


def test_an_unknown_option_is_named():
    assert sentence(given, zzz=1) == "zzz is not a setting (from the command line)"


def test_a_table_of_settings_is_refused_as_unknown():
    assert sentence(in_file, "[server]\nport = 8000").startswith("server is not a setting")


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
        ("roles = ['editor']", "roles must be tables"),
        ("roles = {editor = 1}", "roles must be tables"),
        ("[roles.editor]\nscope = ['a']", "roles must be tables: Object contains unknown field `scope`"),
    ],
)
def test_a_wrong_type_in_the_file_is_named(text, start):
    assert sentence(in_file, text).startswith(start)


def test_an_unknown_field_of_a_resource_is_answered_with_the_fields_that_exist():
    assert sentence(in_file, "resources = [{identifier = 'x', nam = 'y'}]") == (
        "resources must be a list of tables: Object contains unknown field `nam` - at `$[0]`; the fields of "
        "a table are identifier, name, scopes, access_token_expires_in, jwt, better_auth_path "
        "(from settings.toml)"
    )


def test_an_unknown_field_of_a_role_is_answered_with_the_fields_that_exist():
    said = sentence(in_file, "[roles.editor]\nscope = ['a']")
    assert said.endswith("the fields of a table are permissions, scopes (from settings.toml)")


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("sign_up", "false", "true or false"),
        ("port", "8000", "a whole number"),
        ("port", None, "a whole number"),
        ("issuer", 1, "a text"),
        ("database", Path("ledger.sqlite3"), "a text"),
        ("scopes", "openid", "a list of texts"),
        ("resources", ("https://api.example.com/mcp",), "a list of tables"),
        ("roles", {"editor": {"scope": ["a"]}}, "tables"),
    ],
)
def test_a_program_that_gives_another_type_gets_the_name_of_the_setting(key, value, wanted):
    """Fails if it is taken as it is: "false" would count as true, and let strangers sign up."""
    assert sentence(Settings, **{key: value}).startswith(f"{key} must be {wanted}: ")


def test_a_program_may_give_lists_and_dicts():
    lists: Any = {
        "scopes": ["openid", "a"],
        "resources": [{"identifier": "https://api.example.com/mcp"}],
        "roles": {"editor": {"scopes": ["a"]}},
    }
    assert Settings(**lists) == Settings(
        scopes=("openid", "a"),
        resources=(ProtectedResource("https://api.example.com/mcp"),),
        roles={"editor": ConfiguredRole(scopes=("a",))},
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("port", "eighty"),
        ("port", ""),
        ("port", "1.5"),
        ("resources", "x"),
        ("scopes", '["a"'),
        ("roles", "x"),
    ],
)
def test_a_wrong_type_in_a_variable_is_named(key, text):
    message = sentence(in_environment, **{key: text})
    assert message.startswith(f"{key} must be ")
    assert message.endswith(f"(from GRANTLEDGER_{key.upper()})")


@pytest.mark.parametrize(
    ("host", "issuer"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001"),
        ("localhost", "http://localhost:8001"),
        ("::1", "http://[::1]:8001"),
    ],
)
def test_the_default_issuer_is_where_the_server_listens(host, issuer):
    assert given(host=host, port=8001).issuer_identifier == issuer


@pytest.mark.parametrize("issuer", ["https://localhost", "https://localhost/", "https://localhost:443/auth"])
def test_the_issuer_is_kept_byte_for_byte(issuer):
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
def test_the_base_path_is_the_path_of_the_issuer(issuer, base_path):
    assert given(issuer=issuer).base_path == base_path


@pytest.mark.parametrize("issuer", ["https://localhost/auth", "https://localhost/auth/"])
def test_the_default_resource_is_under_the_issuer(issuer):
    assert given(issuer=issuer).protected_resources == (Resource("https://localhost/auth/mcp"),)


def test_the_setting_resource_configures_a_single_resource():
    assert given(resource="https://a.example").protected_resources == (Resource("https://a.example"),)


def test_trusted_proxies_are_networks():
    assert given(trusted_proxies="10.0.0.0/8 ::1").trusted_networks == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )


def test_the_policy_holds_what_the_use_cases_need():
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
        registration="token",
        unused_client_expires_in=7,
        roles={"editor": {"permissions": "pages:write", "scopes": "a"}},
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
        registration_mode="token",
        unused_client_lifetime=7,
        roles=Roles([Role(name="editor", permissions=("pages:write",), scopes=("a",))]),
    )


def test_the_absolute_limit_of_a_grant_can_be_switched_off():
    assert given(grant_expires_in=0).policy.grant_lifetime is None


def test_the_defaults_are_those_of_the_manual():
    assert msgspec.structs.asdict(given()) == {
        "host": "127.0.0.1",
        "port": 8000,
        "issuer": None,
        "database": "grantledger.sqlite3",
        "pool_size": 10,
        "pooler": False,
        "realm": "main",
        "login_page": None,
        "logout_page": None,
        "sign_up": False,
        "service_documentation": None,
        "resource": None,
        "resources": (),
        "scopes": ("openid", "profile", "email", "offline_access"),
        "default_scope": ("openid",),
        "roles": {},
        "code_expires_in": 600,
        "access_token_expires_in": 3600,
        "refresh_token_expires_in": 604_800,
        "grant_expires_in": 90 * 86_400,
        "refresh_reuse_window": 30,
        "browser_session_expires_in": 86_400,
        "private_use_redirect_uris": (),
        "master_secret": (),
        "master_secret_file": None,
        "trusted_proxies": (),
        "workers": 1,
        "max_connections": 1_000,
        "log_format": None,
        "log_level": "info",
        "log_callers": "digest",
        "sign_in_attempts": "10/hour",
        "client_secret_attempts": "30/hour",
        "registration": "open",
        "unused_client_expires_in": 30 * 86_400,
        "registrations": "1000/hour",
        "registrations_per_address": "200/hour",
        "refreshes_per_grant": "60/minute",
        "codes_per_session": "60/hour",
        "sign_ins_per_user": "60/hour",
    }
