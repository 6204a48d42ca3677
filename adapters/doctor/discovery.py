"""The metadata of the resource and of the authorization server."""

import asyncio
from typing import Any

from grantledger.adapters.doctor.http import Answer, Http, is_loopback, is_web, without_query
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.subject import (
    SERVER_URLS,
    Subject,
    oauth_path_url,
    openid_after_url,
    resource_path_url,
    resource_root_url,
    texts,
)

_UNKNOWN_PATHS = range(400, 500)
_SERVER_ERROR = 500
_NOT_FOUND = 404

_SHARED = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "jwks_uri",
)

_REQUIRED = ("authorization_endpoint", "token_endpoint")
_BY_GET = ("jwks_uri", "userinfo_endpoint")
_BY_POST = (
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint",
    "pushed_authorization_request_endpoint",
)
"""Endpoints that get an empty form, which changes nothing there. At the registration endpoint it might."""


async def find_resource(subject: Subject, http: Http, report: Report) -> None:
    """Look for the metadata of the resource, and use the first document that is found."""
    in_challenge = subject.metadata_url_of_challenge
    path, root = resource_path_url(subject.url), resource_root_url(subject.url)
    urls = [url for url in dict.fromkeys((in_challenge, path, root)) if url is not None]
    answers = {url: await http.get(url) for url in urls}
    found = [answer for answer in answers.values() if answer.ok and answer.json is not None]
    for answer in answers.values():
        _judge_answer(answer, report)
    tried = "; ".join(answer.seen for answer in answers.values())
    report.judge("resource-metadata-path", answers[path] in found, answers[path].seen)
    report.judge("resource-metadata-root", answers[root] in found, answers[root].seen)
    if in_challenge is not None:
        there = answers[in_challenge]
        report.judge("resource-metadata", there in found, f"the URL in the challenge: {there.seen}")
    if report.judge("resource-metadata", found, tried):
        subject.resource = found[0].json or {}
        _judge_resource(subject, found[0], report)


def _judge_resource(subject: Subject, answer: Answer, report: Report) -> None:
    named = subject.resource.get("resource")
    at = without_query(answer.url)
    report.judge("resource-identifier", named == subject.url, f"{named!r} at {at}, and not {subject.url!r}")
    servers = subject.names("authorization_servers", of_resource=True)
    if report.judge("authorization-servers", servers, f"no authorization_servers at {at}"):
        first = servers[0]
        if report.judge("authorization-servers", is_web(first), f"{first!r} at {at} is no web URL"):
            subject.issuer = first
    report.judge("several-servers", len(servers) <= 1, f"{len(servers)} servers, the first is {servers[:1]}")
    scopes = subject.names("scopes_supported", of_resource=True)
    report.judge("offline-access", "offline_access" not in scopes, f"scopes_supported at {at}")


async def find_server(subject: Subject, http: Http, report: Report) -> None:
    """Look for the metadata of the authorization server as current clients do, and judge it."""
    urls = list(dict.fromkeys(url(subject.issuer) for url in SERVER_URLS))
    answers = {url: await http.get(url) for url in urls}
    documents = {url: answer.json for url, answer in answers.items() if answer.ok and answer.json is not None}
    for answer in answers.values():
        _judge_answer(answer, report)
    tried = "; ".join(answer.seen for answer in answers.values())
    if not report.judge("server-metadata", documents, tried):
        return
    subject.server = next(iter(documents.values())) or {}
    for url, document in documents.items():
        _judge_document(subject, url, document or {}, report)
    oauth = documents.get(oauth_path_url(subject.issuer))
    openid = documents.get(openid_after_url(subject.issuer))
    if oauth is not None and openid is not None:
        differ = [name for name in _SHARED if oauth.get(name) != openid.get(name)]
        report.judge("documents-agree", not differ, f"they differ in {', '.join(differ)}")
    _judge_offer(subject, report)
    listed = texts(subject.server.get("protected_resources"))
    if listed and not subject.is_issuer:
        named = subject.named_resource
        report.judge("resource-listed", named in listed, f"{', '.join(listed):.200}, and not {named}")
    await _judge_endpoints(subject, http, report)


def _judge_answer(answer: Answer, report: Report) -> None:
    if answer.ok:
        report.judge("well-known-answer", answer.json is not None, f"{answer.seen} without a JSON object")
    else:
        report.judge("well-known-answer", answer.status in _UNKNOWN_PATHS, answer.seen)


def _judge_document(subject: Subject, url: str, document: dict[str, Any], report: Report) -> None:
    issuer = document.get("issuer")
    names = "the URL is" if subject.is_issuer else "the resource names"
    report.judge("issuer", issuer == subject.issuer, f"{issuer!r} at {url}, but {names} {subject.issuer!r}")
    methods = document.get("code_challenge_methods_supported") or []
    report.judge("pkce-advertised", "S256" in texts(methods), f"{methods!r} at {url}")
    report.judge("pkce-plain", "plain" not in texts(methods), f"{methods!r} at {url}")
    for name, algorithms in document.items():
        if "signing_alg" in name and isinstance(algorithms, list):
            report.judge("algorithm-none", "none" not in algorithms, f"{name} at {url}")


def _judge_offer(subject: Subject, report: Report) -> None:
    server = subject.server
    registers = subject.endpoint("registration_endpoint")
    by_document = server.get("client_id_metadata_document_supported") is True
    report.judge("way-to-register", registers or by_document, "neither is in the metadata")
    report.judge("cimd", by_document, "client_id_metadata_document_supported is not true")
    methods = server.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    report.judge("auth-method-none", "none" in texts(methods), f"{methods!r}")
    grants = server.get("grant_types_supported", ["authorization_code", "implicit"])
    obsolete = [grant for grant in ("implicit", "password") if grant in texts(grants)]
    report.judge("obsolete-grants", not obsolete, f"{', '.join(obsolete)}")
    report.judge("obsolete-grants", isinstance(grants, list), f"grant_types_supported is {grants!r}")
    has_iss = server.get("authorization_response_iss_parameter_supported") is True
    report.judge("iss-advertised", has_iss, "authorization_response_iss_parameter_supported is not true")
    report.judge("revocation-advertised", subject.endpoint("revocation_endpoint"), "no revocation_endpoint")


async def _judge_endpoints(subject: Subject, http: Http, report: Report) -> None:
    for name in _REQUIRED:
        report.judge("endpoints", subject.endpoint(name), f"{name} is {subject.server.get(name)!r}")
    for name, value in subject.server.items():
        if value is not None and (name.endswith("_endpoint") or name == "jwks_uri"):
            url = subject.endpoint(name)
            safe = url is not None and (url.startswith("https://") or is_loopback(url))
            report.judge("endpoints", safe, f"{name} is {value!r}")
    by_method = {**dict.fromkeys(_BY_GET, "GET"), **dict.fromkeys(_BY_POST, "POST")}
    asked = [(method, url) for name, method in by_method.items() if (url := subject.endpoint(name))]
    answers = await asyncio.gather(
        *(http.send(method, url, form={} if method == "POST" else None) for method, url in asked)
    )
    for answer in answers:
        there = answer.status not in (0, _NOT_FOUND) and answer.status < _SERVER_ERROR
        report.judge("endpoint-answers", there, answer.seen)
    jwks = subject.endpoint("jwks_uri")
    for answer in answers:
        if answer.url == jwks and answer.ok:
            keys = (answer.json or {}).get("keys")
            report.judge("endpoint-answers", isinstance(keys, list), f"{answer.seen} without a list of keys")
