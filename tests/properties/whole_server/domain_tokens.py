"""Codes and tokens as the domain decides them. A token says what it claims."""

from collections.abc import Sequence

from grantledger.domain import resource_indicator
from grantledger.domain.authorization_code import CODE, CodeRedeemed, CodeReplayed
from grantledger.domain.client_registration import ClientRegistration, ClientUnknown
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import GRANT, GrantOpened, Narrowing, RefreshTokenReused, earliest
from properties.whole_server import facts
from properties.whole_server.domain import Pages
from properties.whole_server.facts import Credentials, Pair, Redemption, Session
from properties.whole_server.in_process import POLICY, START
from properties.whole_server.use_cases import answer
from support.codes import VERIFIER

REFUSED = "invalid_grant"


class ServerOfTheDomain(Pages):
    def redeem(self, credentials: Credentials, redemption: Redemption) -> Pair | str:
        return answer(lambda: self._redeem(credentials, redemption))

    def refresh(
        self, credentials: Credentials, token: str, *, scope: str | None, resource: str | None
    ) -> Pair | str:
        resources = (resource,) if resource else ()
        asked = Narrowing(scope=scope, resources=resources, known_scopes=frozenset(POLICY.known_scopes))
        return answer(lambda: self._refresh(credentials, token, asked))

    def revoke(self, credentials: Credentials, token: str) -> str:
        return answer(lambda: self._revoke(credentials, token)) or ""

    def sessions(self, asked: Sequence[tuple[str, str | None]]) -> list[Session | None]:
        return [self._session_of(token, resource) for token, resource in asked]

    def _client(self, credentials: Credentials) -> ClientRegistration:
        client = self.clients.get(credentials.client_id)
        if client is None or client.deleted:
            raise ClientUnknown
        client.authenticate(credentials.secret)
        return client

    def _redeem(self, credentials: Credentials, redemption: Redemption) -> Pair | str:
        client, code = self._client(credentials), self.codes[redemption.code]
        client.check_usable()
        self.users[code.user_id].check_usable()
        events = code.redeem(
            client_id=client.client_id,
            client_registration=client.registration,
            redirect_uri=redemption.redirect_uri,
            verifier=VERIFIER if redemption.verifier is None else redemption.verifier or None,
            resources=(redemption.resource,) if redemption.resource else (),
            grant_id=self.draw("grant "),
            now=self.now,
        )
        self.happen(self.codes, CODE, redemption.code, events)
        match events:
            case (CodeRedeemed(grant_id=grant_id),):
                self.happen(self.grants, GRANT, grant_id, [self._opened(client, redemption.code)])
                return self._pair(grant_id)
            case (CodeReplayed(grant_id=grant_id),):
                revoked = self.grants[grant_id].revoke("code_replayed", now=self.now)
                self.happen(self.grants, GRANT, grant_id, revoked)
        return REFUSED

    def _opened(self, client: ClientRegistration, code_key: str) -> GrantOpened:
        code, limit = self.codes[code_key], self.now + facts.GRANT_LIFETIME
        refreshes = "refresh_token" in client.metadata.grant_types
        until = earliest(self.now + facts.REFRESH_LIFETIME, limit)
        return GrantOpened(
            client_id=client.client_id,
            client_registration=client.registration,
            user_id=code.user_id,
            code_key=code_key,
            resource=code.resource,
            scopes=code.scopes,
            nonce="",
            key_id="",
            opened_at=self.now,
            access_expires_at=earliest(self.now + facts.ACCESS_LIFETIME, limit),
            refresh_expires_at=until if refreshes else None,
            expires_at=limit,
        )

    def _refresh(self, credentials: Credentials, token: str, asked: Narrowing) -> Pair | str:
        client = self._client(credentials)
        if not token.startswith("refresh:"):
            return REFUSED
        _, grant_id, generation = token.split(":")
        grant = self.grants[grant_id]
        grant.check_belongs_to(client.client_id, client.registration)
        client.check_usable()
        self.users[grant.user_id].check_usable()
        events = grant.refresh(
            client_id=client.client_id,
            client_registration=client.registration,
            generation=int(generation),
            asked=asked,
            key_id="",
            lifetimes=POLICY.lifetimes,
            now=self.now,
        )
        self.happen(self.grants, GRANT, grant_id, events)
        reused = any(isinstance(happened, RefreshTokenReused) for happened in events)
        return REFUSED if reused else self._pair(grant_id)

    def _revoke(self, credentials: Credentials, token: str) -> None:
        client = self._client(credentials)
        if ":" not in token:
            return
        kind, grant_id, generation, *_ = token.split(":")
        grant = self.grants[grant_id]
        grant.check_belongs_to(client.client_id, client.registration)
        if kind == "refresh":
            events = grant.revoke("revoked_by_client", now=self.now)
        else:
            events = grant.revoke_access(generation=int(generation), now=self.now)
        self.happen(self.grants, GRANT, grant_id, events)

    def _session_of(self, token: str, resource: str | None) -> Session | None:
        kind, *claims = token.split(":")
        if kind != "access" or len(claims) != 4 or len(claims[-1]) != len(str(START)):
            return None
        grant = self.grants[claims[0]]
        generation, pair, expires_at = map(int, claims[1:])
        try:
            access = grant.check_access(generation=generation, pair=pair, expires_at=expires_at, now=self.now)
            self.clients[grant.client_id].check_usable(grant.client_registration)
            self.users[grant.user_id].check_usable()
        except Refusal:
            return None
        if resource is not None and not resource_indicator.same(resource, access.resource):
            return None
        return Session(grant.user_id, grant.client_id, access.scopes, access.resource, expires_at)

    def _pair(self, grant_id: str) -> Pair:
        grant = self.grants[grant_id]
        claims = (grant_id, grant.generation, grant.pair, grant.access_expires_at)
        has_refresh = grant.refresh_expires_at is not None
        return Pair(
            access=":".join(map(str, ("access", *claims))),
            refresh=f"refresh:{grant_id}:{grant.generation}" if has_refresh else None,
            scopes=grant.current.scopes,
            expires_in=max(0, grant.access_expires_at - self.now),
        )
