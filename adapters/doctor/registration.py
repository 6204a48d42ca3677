"""Register as the known clients do. The clients are deleted at the end, if the server can do that."""

import base64
from typing import Any

from grantledger.adapters.doctor.http import Answer, Http, without_query
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.subject import Subject

NAME = "grantledger doctor"

_CREATED = 201
_BAD_REQUEST = 400
_SUCCESS = range(200, 300)
_THROTTLED = 429
_CLAUDE = "https://claude.ai/api/mcp/auth_callback"
_CURSOR = (
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "http://localhost:8787/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
)
_DANGEROUS = ("javascript:alert(1)", "/callback")
_ERRORS = ("invalid_redirect_uri", "invalid_client_metadata")


class Registrations:
    """The clients that one examination registers."""

    def __init__(self, subject: Subject, http: Http, report: Report) -> None:
        self._subject = subject
        self._http = http
        self._report = report
        self._created: list[dict[str, Any]] = []

    async def examine(self, redirect_uri: str) -> str | None:
        """Register as clients do. Returns the id of a public client, None if it cannot register."""
        if self._subject.endpoint("registration_endpoint") is None:
            return None
        answer = await self._register(redirect_uris=[redirect_uri], application_type="native")
        if not self._judge("registration", answer):
            return None
        registered = answer.json or {}
        self._judge_response(answer, redirect_uri)
        await self._others(redirect_uri)
        client_id = registered.get("client_id")
        return client_id if isinstance(client_id, str) else None

    async def remove(self) -> None:
        """Delete the clients (RFC 7592), and report those that remain."""
        stay = 0
        for client in self._created:
            url, token = client.get("registration_client_uri"), client.get("registration_access_token")
            gone = False
            if isinstance(url, str) and isinstance(token, str):
                answer = await self._http.send("DELETE", url, headers={"authorization": f"Bearer {token}"})
                gone = answer.status in _SUCCESS
            stay += not gone
        if stay:
            self._report.left_behind.append(
                f"{stay} registered clients named {NAME!r}: the server has no way to delete them"
            )

    async def _others(self, redirect_uri: str) -> None:
        cursor = await self._register(redirect_uris=list(_CURSOR), application_type="web")
        self._judge("registration-editor", cursor)
        of_claude = {"redirect_uris": [_CLAUDE], "token_endpoint_auth_method": "client_secret_post"}
        self._judge("registration-secret", await self._register(**of_claude))
        unknown = {"scope": "openid email profile grantledger-doctor:unknown", "x-unknown-member": True}
        self._judge("registration-scope", await self._register(redirect_uris=[redirect_uri], **unknown))
        for uri in _DANGEROUS:
            refused = await self._register(redirect_uris=[uri])
            if refused.status == _THROTTLED:
                continue
            created = refused.status in _SUCCESS
            self._report.judge("registration-redirect", not created, f"{uri!r} is accepted: {refused.seen}")
            if not created:
                fits = refused.status == _BAD_REQUEST and refused.error in _ERRORS
                self._report.judge("registration-error", fits, f"for {uri!r} {refused.seen}")
        await self._basic_header()

    async def _basic_header(self) -> None:
        """Redeem an invalid code, with the credentials in the header as the TypeScript SDK sends them."""
        methods = self._subject.names("token_endpoint_auth_methods_supported")
        endpoint = self._subject.endpoint("token_endpoint")
        if endpoint is None or "client_secret_basic" not in methods:
            return
        answer = await self._register(
            redirect_uris=[_CLAUDE], token_endpoint_auth_method="client_secret_basic"
        )
        client = answer.json or {}
        client_id, secret = client.get("client_id"), client.get("client_secret")
        if answer.status not in _SUCCESS or not client_id or not secret:
            return
        credentials = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        form = {
            "grant_type": "authorization_code",
            "code": "grantledger-doctor-is-no-code",
            "code_verifier": "v" * 43,
            "redirect_uri": _CLAUDE,
        }
        refused = await self._http.send(
            "POST", endpoint, form=form, headers={"authorization": f"Basic {credentials}"}
        )
        known = refused.error not in ("invalid_client", "unauthorized_client")
        self._report.judge("basic-header", known, f"with right credentials {refused.seen}")

    async def _register(self, **metadata: Any) -> Answer:
        endpoint = self._subject.endpoint("registration_endpoint")
        assert endpoint is not None
        asked = {
            "client_name": NAME,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            **metadata,
        }
        answer = await self._http.send("POST", endpoint, json=asked)
        if answer.status in _SUCCESS and answer.json is not None:
            self._created.append(answer.json)
        return answer

    def _judge(self, check: str, answer: Answer) -> bool:
        if answer.status == _THROTTLED:
            return False
        return self._report.judge(check, answer.status in _SUCCESS, answer.seen)

    def _judge_response(self, answer: Answer, redirect_uri: str) -> None:
        client, judge = answer.json or {}, self._report.judge
        judge("registration-response", answer.status == _CREATED, answer.seen)
        judge("registration-response", client.get("client_id"), "no client_id")
        named = client.get("redirect_uris")
        same = named == [redirect_uri]
        judge("registration-response", same, f"redirect_uris are {named!r}, and not {[redirect_uri]!r}")
        empty = sorted(name for name, value in client.items() if value is None or value == "")
        judge("registration-response", not empty, f"without a value: {', '.join(empty)}")
        method = client.get("token_endpoint_auth_method", "none")
        judge("registration-response", method == "none", f"token_endpoint_auth_method is {method!r}")
        expires = "client_secret" not in client or "client_secret_expires_at" in client
        at = without_query(answer.url)
        judge("registration-response", expires, f"a secret without client_secret_expires_at at {at}")
