"""Clients parse the challenge with regular expressions, which must read every value that we write."""

import re
import string

import httpx2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mcp.client.auth import utils as sdk

from grantledger.adapters.guards.challenge import BearerErrorCode, challenge

URL = "https://notes.example/.well-known/oauth-protected-resource/mcp"

# RFC 6749 appendix A.4: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ); A.8 adds the space for descriptions.
PRINTABLE = "".join(c for c in map(chr, range(0x21, 0x7F)) if c not in '"\\')
ERRORS: tuple[BearerErrorCode, ...] = ("invalid_request", "invalid_token", "insufficient_scope")

scope_lists = st.lists(st.text(PRINTABLE, min_size=1, max_size=12), max_size=4)
descriptions = st.text(PRINTABLE + " ", min_size=1, max_size=60)
urls = st.text(string.ascii_letters + string.digits + "-._~/?#&=:@!$'()*+,;%", max_size=40).map(
    lambda tail: f"https://notes.example/{tail}"
)
errors = st.one_of(
    st.just((None, None)),
    st.tuples(st.sampled_from(ERRORS), st.one_of(st.none(), descriptions)),
)


def typescript_sdk(header: str, name: str) -> str | None:
    """`extractFieldFromWwwAuth` of the TypeScript SDK, which looks for the first match anywhere."""
    found = re.search(rf'{name}=(?:"([^"]+)"|([^\s,]+))', header)
    return (found.group(1) or found.group(2)) if found else None


def strict_parser(header: str) -> list[tuple[str, str]]:
    """RFC 9110 section 11.6.1, for one challenge without escapes."""
    scheme, _, rest = header.partition(" ")
    assert scheme == "Bearer"
    parameter = r'[a-z_]+="[^"\\]*"'
    assert re.fullmatch(rf"{parameter}(?:, {parameter})*", rest)
    return re.findall(r'([a-z_]+)="([^"\\]*)"', rest)


@given(url=urls, scopes=scope_lists, wrong=errors)
def test_every_client_reads_the_parameters_that_were_written(url, scopes, wrong):
    error, description = wrong
    try:
        header = challenge(url, scopes=scopes, error=error, error_description=description)
    except ValueError:
        assume(condition=False)
        raise
    said = {
        "error": error,
        "error_description": description,
        "scope": " ".join(scopes) or None,
        "resource_metadata": url,
    }
    expected = {name: value for name, value in said.items() if value is not None}
    assert dict(strict_parser(header)) == expected
    assert len(strict_parser(header)) == len(expected), "a parameter is repeated"
    response = httpx2.Response(401, headers={"www-authenticate": header})
    for name, value in said.items():
        assert sdk.extract_field_from_www_auth(response, name) == value
        assert typescript_sdk(header, name) == value
    assert sdk.extract_resource_metadata_from_www_auth(response) == url
    assert sdk.extract_scope_from_www_auth(response) == said["scope"]


@given(text=st.text(min_size=1))
def test_refuses_text_that_needs_escapes(text):
    try:
        header = challenge(URL, error="invalid_token", error_description=text)
    except ValueError:
        return
    assert header.isascii()
    assert header.isprintable()
    assert text in header
    assert header.count('"') == 6


@pytest.mark.parametrize(
    "description",
    ["", 'a "quoted" word', "a back\\slash", "a line\nfeed", "ünicode", "scope=all", "an error=none here"],
)
def test_refuses_descriptions_that_a_client_would_misread(description):
    with pytest.raises(ValueError, match="error_description"):
        challenge(URL, error="invalid_token", error_description=description)


def test_refuses_a_metadata_url_in_which_a_client_would_find_a_scope():
    with pytest.raises(ValueError, match="resource_metadata"):
        challenge("https://notes.example/.well-known/oauth-protected-resource?scope=all")


def test_always_says_where_the_metadata_is():
    with pytest.raises(ValueError, match="resource_metadata"):
        challenge("")


def test_describes_no_error_that_it_does_not_name():
    with pytest.raises(ValueError, match="error"):
        challenge(URL, error_description="why")


def test_names_the_error_before_it_describes_it():
    header = challenge(URL, error="invalid_token", error_description="why")
    assert header == f'Bearer error="invalid_token", error_description="why", resource_metadata="{URL}"'


def test_names_all_scopes_of_an_operation_at_once():
    header = challenge(URL, scopes=("notes:read", "notes:write"), error="insufficient_scope")
    assert 'scope="notes:read notes:write"' in header
