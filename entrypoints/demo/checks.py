"""Checks of the client's requests and of the responses."""

from urllib.parse import urlsplit

import httpx2

from grantledger.entrypoints.demo.client import REDIRECT_URI
from grantledger.entrypoints.demo.demo_settings import TO_DO_READ
from grantledger.entrypoints.demo.steps import expect
from grantledger.entrypoints.demo.traffic import Exchange, Traffic

_PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"


def check_discovery(traffic: Traffic, origin: str, resource: str) -> None:
    """Check the requests from the first 401 to both metadata documents (RFC 9728 section 5, RFC 8414)."""
    path = urlsplit(resource).path
    refused = _first(traffic, "POST", path, 401)
    challenge = refused.headers.get("www-authenticate", "")
    metadata_url = f"{origin}{_PROTECTED_RESOURCE}{path}"
    expected = f'Bearer scope="{TO_DO_READ}", resource_metadata="{metadata_url}"'
    expect(f"the challenge {expected}", challenge == expected, came=challenge)

    described = _first(traffic, "GET", f"{_PROTECTED_RESOURCE}{path}", 200).json
    expect(f"the resource {resource}", described.get("resource") == resource, came=described)
    servers = described.get("authorization_servers")
    expect(f"the authorization server {origin}", servers == [origin], came=described)

    server = _first(traffic, "GET", "/.well-known/oauth-authorization-server", 200).json
    expect(f"the issuer {origin}", server.get("issuer") == origin, came=server)
    methods = server.get("code_challenge_methods_supported")
    expect("PKCE with S256 and nothing else", methods == ["S256"], came=methods)
    iss = server.get("authorization_response_iss_parameter_supported")
    expect("iss in authorization responses", iss is True, came=iss)


def check_registration(traffic: Traffic) -> str:
    """Return the client's new id (RFC 7591 section 3.2.1)."""
    answer = _first(traffic, "POST", "/register", 201).json
    expect("a client id", answer.get("client_id"), came=answer)
    expect(f"the redirect URI {REDIRECT_URI}", answer.get("redirect_uris") == [REDIRECT_URI], came=answer)
    method = answer.get("token_endpoint_auth_method")
    public = method == "none" and "client_secret" not in answer
    expect("a public client, without a secret", public, came=answer)
    return str(answer["client_id"])


def check_token(traffic: Traffic, resource: str) -> None:
    """Check that the code was redeemed with PKCE, for this resource (OAuth 2.1 section 4.1.3, RFC 8707)."""
    exchange = _first(traffic, "POST", "/token", 200)
    sent, answer = exchange.form, exchange.json
    sent_right = sent.get("grant_type") == "authorization_code" and bool(sent.get("code_verifier"))
    expect("the code, sent with its verifier", sent_right, came=sorted(sent))
    expect(f"the resource {resource}", sent.get("resource") == resource, came=sent.get("resource"))
    cache = exchange.headers.get("cache-control", "")
    expect("no-store", "no-store" in cache, came=cache)
    expect("a Bearer token", answer.get("token_type") == "Bearer", came=answer.get("token_type"))
    expect("a refresh token", answer.get("refresh_token"), came=sorted(answer))
    expect(f"the scope {TO_DO_READ}", answer.get("scope") == TO_DO_READ, came=answer.get("scope"))


def check_step_up(traffic: Traffic, resource: str, scopes: str) -> None:
    """Check that a call was refused with a challenge for these scopes, and that they were then granted."""
    path = urlsplit(resource).path
    refused = _first(traffic, "POST", path, 403)
    challenge = refused.headers.get("www-authenticate", "")
    asked = 'error="insufficient_scope"' in challenge and f'scope="{scopes}"' in challenge
    expect(f"a challenge for {scopes}", asked, came=challenge)
    answer = _first(traffic, "POST", "/token", 200).json
    expect(f"the scopes {scopes}", answer.get("scope") == scopes, came=answer.get("scope"))


def check_refused_for_good(traffic: Traffic, resource: str) -> None:
    """Check that a call was refused with 403 and without a challenge."""
    refused = traffic.to(urlsplit(resource).path)[-1]
    challenge = refused.headers.get("www-authenticate")
    expect(
        "403 without a challenge", (refused.status, challenge) == (403, None), came=f"{refused} {challenge}"
    )


def check_answer(answer: httpx2.Response, status: int, *words: str) -> None:
    """Check the status, and that the words are in the challenge or in the body."""
    said = f"{answer.status_code} {answer.headers.get('www-authenticate', '')} {answer.text}"
    fits = answer.status_code == status and all(word in said for word in words)
    expect(" ".join((str(status), *words)), fits, came=said)


def _first(traffic: Traffic, method: str, path: str, status: int) -> Exchange:
    """Return the first request to a path. Its response must have had this `status`."""
    found = [exchange for exchange in traffic.to(path) if exchange.method == method]
    expect(f"{method} {path} {status}", found and found[0].status == status, came=traffic)
    return found[0]
