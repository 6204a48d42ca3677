import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.resource_indicator import ResourceForeign, checked_identifier, narrowed, resolve, same

MCP = "https://mcp.example/mcp"
NOTES = "https://mcp.example/notes/mcp"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("https://mcp.example", "https://mcp.example/"),
        ("https://mcp.example/mcp", "HTTPS://MCP.Example/mcp"),
        ("https://mcp.example/mcp", "https://mcp.example:443/mcp"),
        ("http://localhost/", "http://localhost:80"),
        ("http://[::1]:80/mcp", "http://[::1]/mcp"),
        ("urn:example:mcp", "urn:example:mcp"),
    ],
)
def test_spellings_of_url_libraries_name_the_same_resource(a, b):
    assert same(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("https://mcp.example/mcp", "https://mcp.example/mcp/"),
        ("https://mcp.example/mcp", "https://mcp.example/MCP"),
        ("https://mcp.example", "https://mcp.example//"),
        ("https://mcp.example/", "https://mcp.example/?"),
        ("https://mcp.example/mcp", "https://mcp.example/mcp#x"),
        ("https://mcp.example/mcp", "https://mcp.example/x/../mcp"),
        ("https://mcp.example/mcp", "https://mcp.example/%6dcp"),
        ("https://mcp.example", "http://mcp.example"),
        ("https://mcp.example", "https://mcp.example:8443"),
        ("https://mcp.example", "https://mcp.example:80"),
        ("http://localhost", "http://127.0.0.1"),
        ("https://mcp.example", "https://mcp.example."),
        ("https://mcp.example", "https://user@mcp.example"),
        ("https://User@mcp.example", "https://user@mcp.example"),
        ("https://mcp.example", "https://mcp.example@evil.example"),
        ("https://mcp.example", "https://mcp.example\n"),
        ("https://kube.example", "https://\u212aube.example"),
        ("urn:example:mcp", "urn:example:MCP"),
        ("mcp.example", "MCP.example"),
    ],
)
def test_any_other_difference_is_another_resource(a, b):
    assert not same(a, b)


identifiers = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["https", "HTTPS", "http", "Http"]),
    st.sampled_from(["h", "H", "[::1]"]),
    st.sampled_from(["", ":443", ":80", ":1"]),
    st.sampled_from(["", "/", "//", "/a", "/A", "?", "@x"]),
) | st.text(max_size=10)


@given(identifiers, identifiers, identifiers)
def test_same_is_an_equivalence(a, b, c):
    assert same(a, a)
    assert same(a, b) == same(b, a)
    if same(a, b) and same(b, c):
        assert same(a, c)


@pytest.mark.parametrize(
    "identifier",
    [MCP, "https://mcp.example", "https://mcp.example/", "http://localhost:8000/mcp", "http://[::1]/mcp"],
)
def test_a_configured_identifier_is_kept_as_written(identifier):
    assert checked_identifier(identifier) == identifier


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "mcp.example/mcp",
        "http://mcp.example/mcp",
        "urn:example:mcp",
        "https://mcp.example/mcp#part",
        "https://mcp.example/mcp?x=1",
        "https://user@mcp.example/mcp",
        "https:///mcp",
        "https://mcp.example/a/../mcp",
        " https://mcp.example/mcp",
    ],
)
def test_an_invalid_configured_identifier_is_refused_with_its_name(identifier):
    with pytest.raises(ValueError, match=r"^resource '") as raised:
        checked_identifier(identifier)
    assert repr(identifier) in str(raised.value)


def test_a_request_without_a_resource_gets_the_first_configured_one():
    assert resolve((), configured=(MCP, NOTES)) == MCP


def test_the_configured_spelling_is_returned():
    assert resolve(("HTTPS://MCP.example:443/notes/mcp",), configured=(MCP, NOTES)) == NOTES


def test_an_extra_slash_still_names_the_resource():
    assert resolve(("https://mcp.example/mcp/",), configured=(MCP,)) == MCP


def test_two_resources_that_differ_by_a_slash_are_not_confused():
    configured = (MCP, f"{MCP}/")
    assert [resolve((each,), configured=configured) for each in configured] == list(configured)


def test_the_same_resource_may_be_named_twice():
    assert resolve((NOTES, "https://MCP.example/notes/mcp"), configured=(MCP, NOTES)) == NOTES


@pytest.mark.parametrize(
    "presented", [("https://evil.example",), (MCP, NOTES), (MCP, "https://evil.example"), ("",)]
)
def test_a_foreign_resource_or_two_resources_are_refused(presented):
    with pytest.raises(ResourceForeign):
        resolve(presented, configured=(MCP, NOTES))


@pytest.mark.parametrize("presented", [(), (MCP,), (MCP, MCP)])
def test_a_token_request_may_name_the_granted_resource(presented):
    assert narrowed(presented, granted=MCP) == MCP


def test_a_token_request_may_not_name_another_configured_resource():
    with pytest.raises(ResourceForeign):
        narrowed((NOTES,), granted=MCP)
