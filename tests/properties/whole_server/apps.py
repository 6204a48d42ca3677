"""What clients do with codes and tokens, their own and those of others."""

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import rule
from msgspec import Struct

from properties.whole_server import facts
from properties.whole_server.facts import GRANT_LIFETIME, Credentials, Pair, Redemption
from properties.whole_server.promises import REFUSED, Grant, Issued, Registered
from properties.whole_server.world import PICKS, World, newest

NARROWED = st.sampled_from([None, None, ("openid",), ("notes:read",), ("openid", "notes:read"), facts.SCOPES])
MISTAKES = {
    "another redirect URI": REFUSED,
    "another verifier": REFUSED,
    "no verifier": "invalid_request",
    "another resource": "invalid_target",
}
PLACES = st.sampled_from([None, None, None, None, facts.FILES, facts.NOTES, facts.ELSEWHERE])
ITSELF, ANOTHER, IMPOSTOR = "the client itself", "another client", "one with a wrong secret"
WHO = st.sampled_from([ITSELF, ITSELF, ITSELF, ITSELF, ANOTHER, IMPOSTOR])


class Caller(Struct, frozen=True):
    client: Registered
    is_impostor: bool = False

    @property
    def credentials(self) -> Credentials:
        client = self.client
        return Credentials(client.client_id, "glcs_wrong") if self.is_impostor else client.credentials

    def refused(self, owner: Registered, *, revoking: bool = False) -> str:
        """Return the error that the caller gets before its code or token is checked further, or ""."""
        if self.client.deleted or self.is_impostor:
            return "invalid_client"
        is_owner = self.client is owner and (revoking or not owner.disabled)
        return "" if is_owner else REFUSED


class Apps(World):
    @rule(code=PICKS, who=WHO, mistake=st.sampled_from([None, None, None, *MISTAKES]))
    def redeems(self, code, who, mistake):
        chosen = newest(sorted(self.codes, key=lambda code: code.grant is None), code)
        self.redeemed(chosen, self._caller(chosen.client, who, code), mistake)

    def redeemed(self, code, caller, mistake):
        expected = self._outcome_of(code, caller, mistake)
        redemption = Redemption(
            code=code.text,
            redirect_uri=facts.ELSEWHERE if mistake == "another redirect URI" else code.redirect_uri,
            verifier={"another verifier": "wrong" * 10, "no verifier": ""}.get(mistake or ""),
            resource=facts.ELSEWHERE if mistake == "another resource" else None,
        )
        answer = self.system.redeem(caller.credentials, redemption)
        event(f"redeems: {expected}")
        if expected == "opened":
            assert isinstance(answer, Pair)
            self._opens(code, answer)
        else:
            assert answer == (REFUSED if expected == "replay" else expected)
        if expected == "replay":
            self.evidence[facts.REPLAYED] += not code.replayed
            code.replayed = code.grant.revoked = True

    def _opens(self, code, pair):
        code.grant = Grant(
            user=code.user,
            client=code.client,
            scopes=code.user.may_grant(code.scopes),
            resource=code.resource,
            until=self.now + GRANT_LIFETIME,
        )
        self.evidence[facts.OPENED] += 1
        self.receives(code.grant, pair, code.grant.scopes)

    def _outcome_of(self, code, caller, mistake):
        if refused := caller.refused(code.client):
            return refused
        if code.user.disabled or self.now >= code.until:
            return REFUSED
        if mistake is not None:
            return MISTAKES[mistake]
        return "opened" if code.grant is None else "replay"

    @rule(token=PICKS, who=WHO, scopes=NARROWED, resource=PLACES)
    def refreshes(self, token, who, scopes, resource):
        issued = newest(self.refreshable or self.issued, token)
        self.refreshed(issued, self._caller(issued.grant.client, who, token), scopes, resource)

    @rule(token=PICKS, pause=st.sampled_from([0, 59, 60]), scopes=NARROWED)
    def refreshes_and_later_once_more(self, token, pause, scopes):
        issued = newest(self.refreshable or self.issued, token).grant.issued[-1]
        caller = self._caller(issued.grant.client, ITSELF, 0)
        self.refreshed(issued, caller, scopes, None)
        self.passes(pause)
        self.refreshed(issued, caller, scopes, None)

    def refreshed(self, issued, caller, scopes, resource):
        grant, last = issued.grant, issued.grant.issued[-1]
        expected = caller.refused(grant.client) or issued.refreshing(scopes, resource, self.now)
        answer = self.system.refresh(
            caller.credentials,
            issued.refresh or "glrt_unknown",
            scope=None if scopes is None else " ".join(scopes),
            resource=resource,
        )
        event(f"refreshes: {expected}")
        match expected:
            case "next":
                assert isinstance(answer, Pair)
                last.superseded_at = self.now
                wanted = grant.scopes if scopes is None else scopes
                kept = grant.user.may_grant(scope for scope in grant.scopes if scope in wanted)
                self.receives(grant, answer, kept)
            case "again":
                remaining = max(0, last.access_until - self.now)
                assert answer == Pair(last.access, last.refresh, last.scopes, remaining)
            case "reuse":
                assert answer == REFUSED
                grant.revoked = True
                self.evidence[facts.REUSED] += 1
            case _:
                assert answer == expected

    @rule(token=PICKS, who=WHO, whole=st.booleans())
    def revokes(self, token, who, whole):
        issued = newest(self.issued, token)
        grant, caller = issued.grant, self._caller(issued.grant.client, who, token)
        presented = issued.refresh if whole and issued.refresh else issued.access
        answer = self.system.revoke(caller.credentials, presented)
        assert answer == caller.refused(grant.client, revoking=True)
        if not answer:
            grant.revoked = grant.revoked or presented == issued.refresh
            for older in grant.issued[: grant.issued.index(issued) + 1]:
                older.access_revoked = True

    @rule(token=PICKS)
    def takes_one_token_for_another(self, token):
        issued = newest(self.issued, token)
        caller = self._caller(issued.grant.client, ITSELF, 0)
        answer = self.system.refresh(caller.credentials, issued.access, scope=None, resource=None)
        assert answer == ("invalid_client" if caller.client.deleted else REFUSED)
        others = [token for token in (issued.refresh, self.codes[-1].text, issued.access[:-1]) if token]
        assert self.system.sessions([(token, None) for token in others]) == [None] * len(others)

    @property
    def refreshable(self) -> list[Issued]:
        """Return all that came with a refresh token, those of living grants last."""
        with_one = [issued for issued in self.issued if issued.refresh]
        return sorted(with_one, key=lambda issued: not issued.grant.has_ended(self.now))

    def _caller(self, owner, who, pick):
        client = newest(self.clients, pick) if who == ANOTHER else owner
        return Caller(self.latest(client), who == IMPOSTOR)
