"""Codes and tokens: redemption, use, refresh and revocation. All tokens are revoked at the end."""

import asyncio
from typing import Any

from msgspec import Struct

from grantledger.adapters.doctor.http import Answer, Http
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.sign_in import Authorizations, Request, SignInTimedOut
from grantledger.adapters.doctor.subject import INITIALIZE, MCP_HEADERS, Subject

PARALLEL = 4

_OK = 200
_BAD_REQUEST = 400
_SUCCESS = range(200, 300)
_REFUSALS = (401, 403)
_UNAUTHORIZED = 401


class Pair(Struct, frozen=True):
    """The tokens of one response."""

    access: str
    refresh: str | None

    @classmethod
    def of(cls, answer: Answer) -> "Pair | None":
        body = answer.json or {}
        access, refresh = body.get("access_token"), body.get("refresh_token")
        if not answer.ok or not isinstance(access, str):
            return None
        return cls(access, refresh if isinstance(refresh, str) else None)


class Tokens:
    """The tokens that one examination gets."""

    def __init__(self, subject: Subject, authorizations: Authorizations, http: Http, report: Report) -> None:
        self._subject = subject
        self._authorizations = authorizations
        self._http = http
        self._report = report
        self._pairs: list[Pair] = []

    async def examine(self) -> None:
        """Sign in, and judge how codes and tokens are handled. Raises `SignInTimedOut`."""
        request = self._authorizations.request()
        response = await self._authorizations.sign_in(request)
        code = self._authorizations.judge_response(response, request)
        if code is None:
            return
        answer = await self._redeem(code, request)
        pair = Pair.of(answer)
        self._judge_tokens(answer, pair)
        if pair is None:
            return
        await self._id_token(answer.json or {})
        if not self._subject.is_issuer:
            await self._use(pair)
        current = await self._refresh(pair)
        if current is not None:
            await self._revocation(current)
        again = await self._redeem(code, request)
        self._report.judge("replay", Pair.of(again) is None, f"the second time {again.seen}")
        await self._double_spend()
        if self._authorizations.is_late:
            await self._authorizations.judge_other_port()
            await self._without_challenge(code_challenge=None, code_challenge_method=None)
            await self._without_challenge(code_challenge_method="plain")

    async def remove(self) -> None:
        """Revoke every token that was received, and report those that remain."""
        endpoint = self._subject.endpoint("revocation_endpoint")
        stay = 0
        for pair in self._pairs:
            for token in (pair.refresh, pair.access):
                if token is None:
                    continue
                answer = None if endpoint is None else await self._revoke(token)
                if answer is not None and not answer.ok:
                    # The MCP SDK's server demands a `client_secret`, even from public clients.
                    answer = await self._revoke(token, client_secret="")
                stay += answer is None or not answer.ok
        if stay:
            why = "has no revocation endpoint" if endpoint is None else "does not revoke them"
            self._report.left_behind.append(f"{stay} tokens until they expire: the server {why}")

    # Redemption

    async def _redeem(self, code: str, request: Request, **changes: str) -> Answer:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": request.verifier,
            "redirect_uri": self._authorizations.redirect_uri,
            **changes,
        }
        return await self._token(form)

    async def _token(self, form: dict[str, str]) -> Answer:
        endpoint = self._subject.endpoint("token_endpoint")
        assert endpoint is not None
        resource = self._authorizations.resource
        known = {"client_id": self._authorizations.client_id, **({"resource": resource} if resource else {})}
        answer = await self._http.send("POST", endpoint, form={**known, **form})
        pair = Pair.of(answer)
        if pair is not None and pair not in self._pairs:
            self._pairs.append(pair)
        return answer

    def _judge_tokens(self, answer: Answer, pair: Pair | None) -> None:
        body, judge = answer.json or {}, self._report.judge
        if not judge("token-response", pair is not None, f"for a valid code {answer.seen}"):
            return
        kind, lifetime = body.get("token_type"), body.get("expires_in")
        judge("token-response", str(kind).lower() == "bearer", f"token_type is {kind!r}")
        judge("token-response", type(lifetime) is int, f"expires_in is {lifetime!r}")
        cache = answer.headers.get("cache-control", "")
        judge("token-no-store", "no-store" in cache, f"Cache-Control: {cache or 'absent'}")
        judge("refresh-token", pair and pair.refresh, "no refresh_token in the response")

    async def _id_token(self, body: dict[str, Any]) -> None:
        token = body.get("id_token")
        if not isinstance(token, str):
            return
        from grantledger.adapters.doctor.id_token import id_token_fault  # noqa: PLC0415 - joserfc, for this alone

        jwks = self._subject.endpoint("jwks_uri")
        keys = (await self._http.get(jwks)).json if jwks else None
        issuer = str(self._subject.server.get("issuer"))
        fault = id_token_fault(token, keys=keys or {"keys": []}, issuer=issuer)
        self._report.judge("id-token", fault is None, str(fault))

    async def _double_spend(self) -> None:
        """Redeem a second code: first with a wrong verifier, then twice in parallel."""
        request = self._authorizations.request()
        code = self._authorizations.code_of(await self._authorizations.sign_in(request))
        if code is None:
            return
        wrong = await self._redeem(code, request, code_verifier="w" * 43)
        self._report.judge("verifier", Pair.of(wrong) is None, f"with a wrong verifier {wrong.seen}")
        answers = await self._redeemed_twice(code, request)
        if not any(answer.ok for answer in answers):  # the wrong verifier has used the code up
            request = self._authorizations.request()
            code = self._authorizations.code_of(await self._authorizations.sign_in(request))
            if code is None:
                return
            answers = await self._redeemed_twice(code, request)
        pairs = [pair for answer in answers if (pair := Pair.of(answer))]
        if not pairs:
            return
        self._report.judge("double-spend", len(pairs) == 1, f"{len(pairs)} of 2 redemptions gave tokens")
        if len(pairs) == 1 and pairs[0].refresh is not None:
            after = await self._refreshed(pairs[0].refresh)
            ended = Pair.of(after) is None
            self._report.judge("replay-revokes", ended, f"a refresh after a second redemption {after.seen}")

    async def _redeemed_twice(self, code: str, request: Request) -> list[Answer]:
        return await asyncio.gather(*(self._redeem(code, request) for _ in range(2)))

    async def _without_challenge(self, **changes: str | None) -> None:
        """Judge the answer after a sign-in, at a server that shows the sign-in first."""
        request = self._authorizations.request(**changes)
        try:
            response = await self._authorizations.sign_in(request, soon=True)
        except SignInTimedOut:
            return  # the server shows a page that does not return here, or the user has gone
        is_accepted = "code" in response
        if not is_accepted:
            self._authorizations.judge_error(response, request)
        code = self._authorizations.code_of(response) if is_accepted else None
        redeemed = code is not None and Pair.of(await self._redeem(code, request)) is not None
        seen = ", which any verifier redeems" if redeemed else ""
        without = "without a code challenge" if "code_challenge" in changes else "with the method plain"
        self._report.judge("pkce-required", not is_accepted, f"a code {without}{seen}")

    # Use

    async def _use(self, pair: Pair) -> None:
        answer = await self._call(pair.access)
        accepted = answer.status and answer.status not in _REFUSALS
        self._report.judge("token-accepted", accepted, f"with a new token {answer.seen}")
        url = self._subject.url
        query = f"{url}{'&' if '?' in url else '?'}access_token={pair.access}"
        in_query = await self._http.send("POST", query, headers=MCP_HEADERS, json=INITIALIZE)
        self._report.judge("token-in-query", in_query.status not in _SUCCESS, in_query.seen)

    async def _call(self, access_token: str) -> Answer:
        headers = {**MCP_HEADERS, "authorization": f"Bearer {access_token}"}
        return await self._http.send("POST", self._subject.url, headers=headers, json=INITIALIZE)

    # Refresh

    async def _refreshed(self, refresh_token: str) -> Answer:
        return await self._token({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _refresh(self, first: Pair) -> Pair | None:
        """Refresh in parallel, then in turn, then with the first token again.

        Returns valid tokens, None if there are none.
        """
        if first.refresh is None:
            return first
        answers = await asyncio.gather(*(self._refreshed(str(first.refresh)) for _ in range(PARALLEL)))
        pairs = [pair for answer in answers if (pair := Pair.of(answer))]
        if not self._report.judge("refresh-works", pairs, f"a refresh {answers[0].seen}"):
            return None
        refused = [answer for answer in answers if Pair.of(answer) is None]
        first_refusal = refused[0].seen if refused else ""
        counted = f"{len(refused)} of {PARALLEL} are refused: {first_refusal}"
        self._report.judge("refresh-race", not refused, counted)
        series = {pair.refresh or pair.access for pair in pairs}
        self._report.judge(
            "refresh-forks", len(series) == 1, f"{len(series)} series of tokens from one token"
        )
        rotated = pairs[0].refresh not in (None, first.refresh)
        self._report.judge("refresh-rotates", rotated, "the refresh token stays the same")
        if not rotated:
            return pairs[0]
        second = await self._refreshed(str(pairs[0].refresh))
        current = Pair.of(second)
        self._report.judge("refresh-race-fatal", current, f"afterwards a refresh {second.seen}")
        if current is None:
            return None
        old = Pair.of(await self._refreshed(first.refresh))
        same = old is None or old.refresh == current.refresh
        self._report.judge("refresh-forks", same, "the first refresh token still gives new tokens")
        return Pair.of(await self._refreshed(str(current.refresh)))  # None if the reuse has ended the grant

    # Revocation

    async def _revoke(self, token: str, **more: str) -> Answer:
        endpoint = self._subject.endpoint("revocation_endpoint")
        assert endpoint is not None
        form = {"token": token, "client_id": self._authorizations.client_id, **more}
        return await self._http.send("POST", endpoint, form=form)

    async def _revocation(self, current: Pair) -> None:
        if self._subject.endpoint("revocation_endpoint") is None or current.refresh is None:
            return
        revoked = await self._revoke(current.refresh)
        if not self._report.judge("revocation-public", revoked.status == _OK, revoked.seen):
            return
        unknown = await self._revoke("grantledger-doctor-is-no-token")
        self._report.judge("revocation-unknown", unknown.status == _OK, f"an unknown token: {unknown.seen}")
        after = await self._refreshed(current.refresh)
        ended = (after.status, after.error) == (_BAD_REQUEST, "invalid_grant")
        self._report.judge("revocation-ends", ended, f"a refresh after revocation {after.seen}")
        if not self._subject.is_issuer:
            call = await self._call(current.access)
            refused = call.status == _UNAUTHORIZED
            self._report.judge("revocation-access", refused, f"with the access token {call.seen}")
