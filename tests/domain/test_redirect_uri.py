import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.redirect_uri import (
    RedirectUriForbidden,
    RedirectUriKind,
    RedirectUriMismatch,
    RedirectUriPolicy,
    RedirectUriRequired,
    checked_private_use,
    choose,
    is_loopback,
    is_of_well_known_client,
    is_private_use,
    kind_of,
    matches,
    shown_host,
    without_variable_port,
)

POLICY = RedirectUriPolicy(issuer="https://auth.example/tenant")
CURSOR = "cursor://anysphere.cursor-mcp/oauth/callback"


@pytest.mark.parametrize(
    "uri",
    [
        "https://claude.ai/api/mcp/auth_callback",
        "https://xn--bcher-kva.example:8443/cb?tenant=1&x=%2F",
        "https://[2001:db8::1]/cb",
        "HTTPS://claude.ai/cb",
        "https://claude.ai",
    ],
)
def test_https_is_allowed_anywhere(uri):
    assert kind_of(uri, POLICY) is RedirectUriKind.HTTPS


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:33418/",
        "http://127.0.0.1",
        "http://[::1]:8080/callback",
        "http://localhost:0/callback",
    ],
)
def test_http_is_allowed_on_the_three_loopback_hosts(uri):
    assert kind_of(uri, POLICY) is RedirectUriKind.LOOPBACK


@pytest.mark.parametrize(
    "uri",
    [
        CURSOR,
        "cursor://anysphere.cursor-retrieval/oauth/user-notes/callback",
        "vscode://saoudrizwan.claude-dev/mcp-auth/callback/5d41402abc4b2a76",
        "vscode-insiders://vscode.github-authentication/did-authenticate",
        "windsurf://codeium.windsurf/callback",
        "zed://oauth/callback",
        "com.example.app:/oauth",
        "com.example.app:///oauth?x=1",
        "com.example.app:oauth",
        "com.example.app://1/oauth",
    ],
)
def test_private_use_uris_of_known_clients_and_dotted_schemes_are_allowed(uri):
    assert kind_of(uri, POLICY) is RedirectUriKind.PRIVATE_USE


@pytest.mark.parametrize(
    "uri",
    [
        "http://client.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://0.0.0.0/cb",
        "http://127.0.0.2/cb",
        "http://[0:0:0:0:0:0:0:1]/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://xn--lcalhost-54a/cb",
        "myapp://callback",
        "localhost:8080/callback",
        "chrome-extension://abcdef/cb",
        "view-source:https://claude.ai/",
        "filesystem:https://claude.ai/temporary/x.html",
        "intent://scan/",
    ],
)
def test_a_uri_that_no_rule_allows_has_no_kind(uri):
    assert kind_of(uri, POLICY) is None


@pytest.mark.parametrize(
    "uri",
    [
        "vscode:mcp/install?%7B%22name%22%3A%22x%22%7D",
        "vscode://file/etc/passwd",
        "cursor://anysphere.cursor-deeplink/prompt?text=delete",
        "windsurf://windsurf-mcp-registry",
        "zed://extension/evil",
        "zed://oauth/callback?x=1",
    ],
)
def test_editor_commands_are_not_allowed_as_redirect_uris(uri):
    assert kind_of(uri, POLICY) is None


@pytest.mark.parametrize(
    "uri",
    [
        "https://Client.example/cb",
        "https://CLIENT.EXAMPLE/cb",
        "https://client_one.example/cb",
        "https://_dmarc.client.example/cb",
        "http://LOCALHOST:3118/cb",
        "com.example.app://Host/cb",
        "vscode://publisher.my_extension/cb",
    ],
)
def test_a_host_with_capitals_or_an_underscore_is_left_out(uri):
    assert kind_of(uri, POLICY) is None


@pytest.mark.parametrize(
    "uri",
    [
        "https://Client_one.example/cb#fragment",
        "https://claude.ai@Client_one.example/",
        "javascript://Client_one.example/%0aalert(1)",
        "https://AUTH.example/tenant/authorize",
        "https://Client_one.example:99999/cb",
    ],
)
def test_a_dangerous_uri_with_such_a_host_is_still_forbidden(uri):
    with pytest.raises(RedirectUriForbidden):
        kind_of(uri, POLICY)


def test_the_operator_can_allow_an_exact_uri_or_a_scheme():
    policy = RedirectUriPolicy(private_use=("myapp", "other://only/this"))
    assert kind_of("myapp://anything?x=1", policy) is RedirectUriKind.PRIVATE_USE
    assert kind_of("other://only/this", policy) is RedirectUriKind.PRIVATE_USE
    assert kind_of("other://only/that", policy) is None


@pytest.mark.parametrize(
    "entry",
    [
        "javascript",
        "http",
        "https://claude.ai/cb",
        "data:text/html,x",
        "MyApp",
        "",
        "my://Host/",
        "my://a_b/",
    ],
)
def test_an_invalid_private_use_entry_of_an_operator_is_refused(entry):
    with pytest.raises(ValueError, match="private-use redirect URI"):
        checked_private_use(entry)


@pytest.mark.parametrize("entry", ["myapp", "myapp://callback", CURSOR])
def test_an_operators_entry_is_kept_as_written(entry):
    assert checked_private_use(entry) == entry


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "callback",
        "/callback",
        "//client.example/cb",
        "?code=1",
        "https:/client.example/cb",
        "https:client.example/cb",
        "https:///client.example/cb",
        "https://",
        "https://:443/cb",
        "http://localhost@evil.example/cb",
        "https://claude.ai:pw@evil.example/",
        "https://@evil.example/",
        "https://claude.ai\\@evil.example/",
        "https://client.example/cb#fragment",
        "https://client.example/cb#",
        "https://client..example/cb",
        "https://.client.example/cb",
        "https://client.example./cb",
        "https://b\u00fccher.example/cb",
        "https://\uff4cocalhost/cb",
        "http://loc%61lhost/cb",
        "https://client.example%2f@evil.example/",
        "https://client.example:99999/cb",
        "https://client.example:65536/cb",
        "https://client.example:/cb",
        "https://client.example:8080:80/cb",
        "https://client.example:+80/cb",
        "https://client.example:\u0661/cb",
        "http://[::1/cb",
        "http://::1/cb",
        "http://[::1]evil.example/cb",
        "http://[::1%25eth0]/cb",
        "http://[fe80::1%eth0]/cb",
        "http://[12345::]/cb",
        "http://[v1.x]/cb",
        "http://127.1/cb",
        "http://2130706433/cb",
        "http://0x7f000001/cb",
        "http://0177.0.0.1/cb",
        "http://127.0.0.256/cb",
        "https://client.example/a/../authorize",
        "https://client.example/a/.%2E/authorize",
        "https://client.example/./cb",
        "https://client.example/%zz",
        "https://client.example/%",
        "https://client.example/<script>",
        "https://client.example/{id}",
        "https://client.example/cb?x=[1]",
        "https://client.example/caf\u00e9",
        "https://client.example/a b",
        "https://client.example/\x00",
        "https://client.example/\r\nSet-Cookie:a=b",
        "https://client.example/cb\n",
        "\thttps://client.example/cb",
        "ht\ntps://client.example/cb",
        "1app://callback",
        "cursor://anysphere.cursor-mcp@evil.example/cb",
        "https://client.example/" + "a" * 2048,
        "about:blank",
        "blob:https://claude.ai/0f6d7b5e",
        "data:text/html,hello",
        "file:///etc/passwd",
        "vbscript:msgbox",
        "javascript:alert(1)",
        "javascript://client.example/%0aalert(1)",
    ],
)
def test_malformed_and_dangerous_uris_are_forbidden(uri):
    with pytest.raises(RedirectUriForbidden):
        kind_of(uri, RedirectUriPolicy(private_use=("javascript", "data", "about")))


@given(
    lead=st.text(st.characters(max_codepoint=0x3000, categories=["Cc", "Cf", "Zs", "Zl", "Zp"]), max_size=3),
    scheme=st.sampled_from(["javascript", "data", "file", "vbscript", "blob", "about"]),
    capitals=st.lists(st.booleans(), min_size=10, max_size=10),
    rest=st.text(max_size=20),
)
def test_every_spelling_of_a_dangerous_scheme_is_forbidden(lead, scheme, capitals, rest):
    spelt = "".join(c.upper() if up else c for c, up in zip(scheme, capitals, strict=False))
    with pytest.raises(RedirectUriForbidden):
        kind_of(f"{lead}{spelt}:{rest}", POLICY)


@pytest.mark.parametrize(
    "uri",
    [
        "https://auth.example/tenant/authorize",
        "https://auth.example/tenant/authorize/abc?x=1",
        "https://auth.example:8443/tenant/authorize/",
        "https://auth.example/tenant/%61uthorize/abc",
        "https://auth.example/tenant//authorize",
        "http://auth.example/tenant/authorize/abc",
    ],
)
def test_the_servers_own_pages_are_forbidden(uri):
    with pytest.raises(RedirectUriForbidden):
        kind_of(uri, POLICY)


@pytest.mark.parametrize(
    "uri",
    [
        "https://auth.example/tenant/authorized",
        "https://auth.example/tenant/callback",
        "https://auth.example/authorize",
        "https://other.example/tenant/authorize",
        "com.example.app://auth.example/tenant/authorize",
    ],
)
def test_uris_outside_the_servers_pages_are_allowed(uri):
    assert kind_of(uri, POLICY) is not None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_on_loopback_the_path_of_the_pages_is_forbidden_on_any_port(host):
    policy = RedirectUriPolicy(issuer="http://localhost:8000")
    with pytest.raises(RedirectUriForbidden):
        kind_of(f"http://{host}:9999/authorize/callback", policy)


def test_on_loopback_other_paths_are_allowed():
    policy = RedirectUriPolicy(issuer="http://localhost:8000")
    assert kind_of("http://127.0.0.1:9999/callback", policy) is RedirectUriKind.LOOPBACK


@pytest.mark.parametrize(
    ("registered", "presented"),
    [
        ("http://localhost/callback", "http://localhost:54212/callback"),
        ("http://localhost:3118/callback", "http://localhost/callback"),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:61234"),
        ("http://127.0.0.1", "http://127.0.0.1:61234/"),
        ("http://[::1]:1/cb?x=1", "http://[::1]:2/cb?x=1"),
        (CURSOR, CURSOR),
    ],
)
def test_on_loopback_any_port_matches_and_an_empty_path_is_the_root(registered, presented):
    assert matches(registered, presented)


@pytest.mark.parametrize(
    ("registered", "presented"),
    [
        ("http://localhost/callback", "http://127.0.0.1/callback"),
        ("http://127.0.0.1/callback", "http://[::1]/callback"),
        ("http://localhost/callback", "https://localhost/callback"),
        ("http://localhost/callback", "http://localhost/callback/"),
        ("http://localhost/callback", "http://localhost/Callback"),
        ("http://localhost/callback", "http://localhost/callback?"),
        ("http://localhost/callback", "http://localhost/callback?x=1"),
        ("http://localhost/callback", "http://localhost/callback#"),
        ("http://localhost/callback", "http://localhost:80@evil.example/callback"),
        ("http://localhost/callback", "http://user@localhost/callback"),
        ("http://localhost/callback", "http://localhost:99999/callback"),
        ("http://localhost/callback", "http://localhost:1\t/callback"),
        ("http://localhost/callback", "http://localhost.evil.example/callback"),
        ("http://localhost/callback", "http://LOCALHOST:1/callback"),
        ("http://localhost/callback", "http://localhost/x/../callback"),
        ("http://localhost/callback", ""),
        ("https://localhost/callback", "https://localhost:8443/callback"),
        ("http://client.example/cb", "http://client.example:1/cb"),
        ("https://claude.ai/cb", "https://claude.ai:443/cb"),
        ("https://claude.ai/cb", "https://claude.ai/cb/"),
        ("https://claude.ai", "https://claude.ai/"),
        ("https://chatgpt.com/cb", "https://chatgpt.com/cb?kb_name=x"),
        (CURSOR, CURSOR + "/"),
        (CURSOR, "cursor://anysphere.cursor-mcp:1/oauth/callback"),
    ],
)
def test_all_other_uris_are_compared_as_exact_strings(registered, presented):
    assert not matches(registered, presented)


hosts = st.sampled_from(["localhost", "127.0.0.1", "[::1]", "claude.ai", "localhost.evil.example"])
uris = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https"]),
    hosts,
    st.sampled_from(["", ":1", ":65535"]),
    st.sampled_from(["", "/", "/cb", "/cb?x=1"]),
)


@given(uris, uris)
def test_uris_with_different_hosts_or_schemes_never_match(registered, presented):
    if matches(registered, presented):
        assert shown_host(registered) == shown_host(presented)
        assert registered.split(":")[0] == presented.split(":")[0]
        assert kind_of(registered, POLICY) is kind_of(presented, POLICY)


@given(uris, uris)
def test_matching_is_symmetric(registered, presented):
    assert matches(registered, presented) == matches(presented, registered)


@given(uris, uris)
def test_uris_that_match_are_equal_without_their_variable_port(one, other):
    assert (without_variable_port(one) == without_variable_port(other)) == matches(one, other)


@pytest.mark.parametrize(
    ("uri", "without"),
    [
        ("http://localhost:3118/callback", "http://localhost/callback"),
        ("http://127.0.0.1:61234", "http://127.0.0.1/"),
        ("http://[::1]:8080/cb?a=b", "http://[::1]/cb?a=b"),
        ("https://localhost:3118/callback", "https://localhost:3118/callback"),
        ("https://claude.ai:8443/cb", "https://claude.ai:8443/cb"),
    ],
)
def test_only_http_on_loopback_has_a_variable_port(uri, without):
    assert without_variable_port(uri) == without


def test_the_presented_uri_is_used_as_written():
    registered = ("https://vscode.dev/redirect", "http://127.0.0.1:33418/")
    assert choose(registered, "http://127.0.0.1:61234") == "http://127.0.0.1:61234"


def test_the_only_registered_uri_is_the_default():
    assert choose(("https://claude.ai/cb",), None) == "https://claude.ai/cb"


def test_on_loopback_the_request_must_name_its_port():
    with pytest.raises(RedirectUriRequired):
        choose(("http://localhost:3118/callback",), None)


def test_with_several_registered_uris_one_is_required():
    with pytest.raises(RedirectUriRequired):
        choose(("https://claude.ai/cb", "https://claude.com/cb"), None)


@pytest.mark.parametrize("presented", ["https://evil.example/cb", "", "javascript:alert(1)"])
def test_an_unregistered_uri_is_refused(presented):
    with pytest.raises(RedirectUriMismatch):
        choose(("https://claude.ai/cb",), presented)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://claude.ai/api/mcp/auth_callback", "claude.ai"),
        ("https://claude.ai:8443/", "claude.ai"),
        ("http://localhost:3118/callback", "localhost"),
        ("http://127.0.0.1/", "127.0.0.1"),
        ("http://[::1]:1/", "[::1]"),
        (CURSOR, "cursor://anysphere.cursor-mcp"),
        ("com.example.app:/oauth", "com.example.app:"),
        ("com.example.app:///oauth", "com.example.app:"),
        ("com.example.app://host:1/oauth", "com.example.app://host:1"),
    ],
)
def test_the_shown_host_names_the_receiver(uri, shown):
    assert shown_host(uri) == shown


@pytest.mark.parametrize("uri", ["https://a.example/", "HTTPS://a.example/", "HTTP://127.0.0.1/"])
def test_a_website_or_listener_is_no_app_in_whatever_case_its_scheme_is_written(uri):
    assert not is_private_use(uri)


@pytest.mark.parametrize("uri", ["com.example.app:/cb", "cursor://anysphere.cursor-mcp/oauth/callback"])
def test_an_app_is_known_by_its_scheme(uri):
    assert is_private_use(uri)


def test_https_on_loopback_is_loopback_too():
    assert is_loopback("https://localhost/cb")
    assert is_loopback("http://[::1]:1/")


@pytest.mark.parametrize(
    "host", ["127.0.0.2", "app.localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::ffff:7f00:1]"]
)
def test_https_at_any_name_of_the_machine_is_loopback(host):
    """Any program there could receive the response, so that a remembered consent must not count."""
    assert is_loopback(f"https://{host}/cb")


def test_a_host_of_the_network_is_not_loopback():
    assert not is_loopback("https://claude.ai/cb")
    assert not is_loopback("https://localhost.example/cb")
    assert not is_loopback("https://192.0.2.1/cb")
    assert not is_loopback("https://[2001:db8::1]/cb")
    assert not is_loopback("com.example.app://localhost/cb")


@pytest.mark.parametrize(
    "uri",
    [
        "x-apple.systempreferences:com.apple.preference.security",
        "javascript.x:alert(1)",
        "data.x:text",
        "ms-settings.privacy:x",
        "a.b:x",
    ],
)
def test_a_scheme_that_begins_with_no_top_level_domain_needs_the_operators_list(uri):
    assert kind_of(uri, POLICY) is None


def test_a_scheme_below_an_internationalized_domain_is_private_use():
    assert kind_of("xn--p1ai.example.app:/callback", POLICY) is RedirectUriKind.PRIVATE_USE


@pytest.mark.parametrize(
    "uri",
    [
        "https://claude.ai/api/mcp/auth_callback",
        "https://chatgpt.com/connector_platform_oauth_redirect",
        "https://chatgpt.com/connector/oauth/a1B2c3D4e5",
        "https://vscode.dev/redirect",
        "https://insiders.vscode.dev/redirect",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
    ],
)
def test_the_addresses_of_well_known_clients_are_known(uri):
    assert is_of_well_known_client(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "https://claude.ai/api/mcp/auth_callback/",
        "https://claude.ai/api/mcp/auth_callback?x=1",
        "https://claude.ai:8443/api/mcp/auth_callback",
        "https://chatgpt.com/connector/oauth/a/b",
        "https://chatgpt.com/connector/oauth/",
        "https://chatgpt.com.evil.example/connector/oauth/a",
        "https://vscode.dev/redirect?url=x",
        "vscode://ms-vscode.remote/open",
        "cursor://anysphere.cursor-mcp/other",
    ],
)
def test_addresses_near_those_of_well_known_clients_are_not_known(uri):
    assert not is_of_well_known_client(uri)
