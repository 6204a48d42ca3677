"""Registrations of every kind, and what becomes of each: proven, used, disabled, deleted, made again."""

from collections import Counter

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from msgspec import json

from properties.profiles import Machine
from properties.registration.fields import (
    IGNORED,
    MALFORMED_BODIES,
    OWN_PAGE,
    REDIRECT_URIS,
    members,
    redirect_uris,
)
from properties.registration.known import Had, Known
from properties.registration.promises import BAD_METADATA, expected
from properties.whole_server import facts
from properties.whole_server.facts import Ask, Pair, Redemption, ServerUnderTest
from support.oauth import basic

PICKS = st.integers(0, 5)
PUBLIC, SECRET = "none", "client_secret_post"
USUAL = {
    "redirect_uris": ["https://client.example/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "client_name": "Editor",
}
SHUFFLED = ("redirect_uris", "grant_types", "response_types")
BROWSER_HOLDS = 8
LATEST = 6


def newest(things, pick):
    return things[-1 - pick % len(things)]


class Registration(Machine):
    system: ServerUnderTest
    strangers = 0

    def __init__(self) -> None:
        super().__init__()
        self.known: list[Known] = []
        self.evidence: Counter[str] = Counter()

    @initialize(methods=st.lists(st.sampled_from([PUBLIC, SECRET]), min_size=2, max_size=3))
    def starts(self, methods):
        self.system = self.system_for()
        self.now = self.system.now
        _, self.email = self.system.open_account()
        for method in methods:
            self.registers(USUAL["redirect_uris"], [], method)
            self.connects(0, 0)

    # registering

    @rule(
        uris=redirect_uris(),
        changes=st.lists(members(), max_size=3),
        method=st.sampled_from([PUBLIC, PUBLIC, SECRET]),
    )
    def registers(self, uris, changes, method):
        changed = {change.name: change.value for change in changes}
        self.sends({**USUAL, "redirect_uris": uris, "token_endpoint_auth_method": method, **changed})

    @rule(client=PICKS, ignored=st.sampled_from(IGNORED), is_shuffled=st.booleans())
    def registers_again(self, client, ignored, is_shuffled):
        """Say the same in other words."""
        sent = newest(self.known, client).sent
        if is_shuffled:
            sent = {
                name: value[::-1] if name in SHUFFLED and value else value for name, value in sent.items()
            }
        absent = {name: None for name in ("logo_uri", "scope", "application_type") if name not in sent}
        self.sends({**absent, **dict(reversed(sent.items())), **dict([ignored])})

    @rule(body=st.sampled_from(MALFORMED_BODIES))
    def sends_no_metadata(self, body):
        answer = self.system.register(body)
        assert (answer.status, answer.members["error"]) == (400, BAD_METADATA)

    def sends(self, body):
        body["software_id"] = f"run{self.system.salt}"
        wanted = expected(body)
        answer = self.system.register(
            json.encode(body).replace(OWN_PAGE.encode(), self.system.own_page.encode())
        )
        event(f"registers: {sorted(wanted.errors)}")
        if wanted.errors:
            assert answer.status == 400
            assert answer.members["error"] in wanted.errors
            return
        same = [known for known in self.known if known.wanted.identity == wanted.identity]
        before = same[-1] if same and wanted.is_public else None
        if before is not None and before.is_usable:
            as_sent = {**before.members, "redirect_uris": wanted.metadata["redirect_uris"]}
            assert (answer.status, answer.members) == (201, as_sent)
        elif before is not None and not before.deleted:
            assert (answer.status, answer.members["error"]) == (403, "access_denied")
        else:
            assert answer.status == 201
            self._knows(Known(body, wanted, answer.members), before)

    def _knows(self, new, before):
        """Check that the answer to a new registration has all that it must have, and nothing else."""
        own = {"client_id": new.client_id, "client_id_issued_at": self.now}
        if not new.wanted.is_public:
            own |= {"client_secret": new.secret, "client_secret_expires_at": 0}
            assert new.secret.startswith("glcs_")
            assert new.secret not in {known.secret for known in self.known}
        assert new.members == {**own, **new.wanted.metadata}
        if before is None:
            assert new.client_id not in {known.client_id for known in self.known}
        else:
            assert new.client_id == before.client_id
        self.known.append(new)
        self.evidence[facts.REGISTERED] += 1

    # proving

    @rule(
        client=PICKS,
        shown=st.sampled_from(["its own", "its own", "none", "another's", "a wrong one"]),
        way=st.sampled_from(["header", "body", "header and body", "two ids"]),
    )
    def proves_itself(self, client, shown, way):
        known = newest(self.known, client)
        others = [other.secret for other in self.known if other.client_id != known.client_id and other.secret]
        secrets = {"its own": known.secret, "a wrong one": "glcs_wrong", "another's": [*others, "glcs_x"][-1]}
        secret = secrets.get(shown)
        header = [] if way == "body" else [basic(known.client_id, secret or "")["authorization"]]
        form = {} if way == "header" else {"client_id": known.client_id}
        if way == "two ids":
            form = {"client_id": "glc_another"}
        elif way != "header" and secret:
            form["client_secret"] = secret
        answer = self.system.prove(header, form)
        if way == "two ids" or (way == "header and body" and secret):
            assert answer == "invalid_request"
        else:
            is_itself = secret == known.secret and not self._latest(known).deleted
            assert answer == ("" if is_itself else "invalid_client")

    # being used

    @rule(client=PICKS, uri=PICKS)
    def connects(self, client, uri):
        usable = [known for known in self.known if known.is_usable]
        if not usable:
            self.registers(USUAL["redirect_uris"], [], SECRET)
            usable = self.known[-1:]
        known = newest(usable, client)
        redirect_uri = newest(known.redirect_uris, uri)
        kept, traded = self._code(known, redirect_uri), self._code(known, redirect_uri)
        pair = self.system.redeem(known.credentials, traded)
        assert isinstance(pair, Pair)
        assert (pair.refresh is not None) == ("refresh_token" in known.members["grant_types"])
        known.had.append(Had(kept, pair, self.now + facts.ACCESS_LIFETIME))
        self.evidence[facts.OPENED] += 1

    def _code(self, known, redirect_uri):
        ask = Ask(redirect_uri=redirect_uri, scope="openid notes:read")
        tab, seen = self.system.authorize("browser", known.client_id, ask)
        if seen.what == "sign in":
            seen = self.system.sign_in(tab, self.email, right=True)
        if seen.what == "consent":
            seen = self.system.decide(tab, allowed=True, kept=False)
        assert seen.what == "code"
        return Redemption(code=seen.text, redirect_uri=redirect_uri)

    @rule(client=PICKS, uri=st.sampled_from([uri for uri in REDIRECT_URIS if uri not in ("", OWN_PAGE)]))
    def sends_users_anywhere(self, client, uri):
        self._sends_users(self._latest(newest(self.known, client)), uri)

    @rule(client=PICKS, uri=PICKS, port=st.sampled_from([None, ":4224"]))
    def sends_users_where_it_registered(self, client, uri, port):
        known = self._latest(newest(self.known, client))
        uri = newest(known.redirect_uris, uri)
        self._sends_users(known, _with_port(uri, port) if port and uri.startswith("http:") else uri)

    def _sends_users(self, known, uri):
        self.strangers += 1
        name = f"stranger {self.strangers // BROWSER_HOLDS}"
        _, seen = self.system.authorize(name, known.client_id, Ask(redirect_uri=uri, scope="openid"))
        listens = {_with_port(one, ":4224") for one in known.redirect_uris if one.startswith("http:")}
        if known.is_usable:
            is_registered = uri in known.redirect_uris or (
                uri.startswith("http:") and _with_port(uri, ":4224") in listens
            )
            assert seen.what == ("sign in" if is_registered else "wrong redirect URI")
        else:
            assert seen.what == ("unknown client" if known.deleted else "disabled client")

    # being refused

    @rule(client=PICKS)
    def is_disabled(self, client):
        known = self._latest(newest(self.known, client))
        if not known.deleted:
            self.system.disable_client(known.client_id)
            known.disabled = True

    @rule(client=PICKS, again=st.sampled_from([True, True, False]))
    def is_deleted(self, client, again):
        known = self._latest(newest(self.known, client))
        if not known.deleted:
            self.system.delete_client(known.client_id)
            known.deleted = True
        if again:
            self.sends(dict(known.sent))

    @rule(client=PICKS)
    def presents_what_it_had(self, client):
        if not self._gone:
            self.registers(USUAL["redirect_uris"], [], SECRET)
            self.connects(0, 0)
            self.is_deleted(0, again=True)
        known = newest(self._gone, client)
        latest = self._latest(known)
        had = known.had[-1]
        error = "invalid_client" if latest.deleted else "invalid_grant"
        assert self.system.redeem(latest.credentials, had.code) == error
        if had.pair.refresh is not None:
            refreshed = self.system.refresh(latest.credentials, had.pair.refresh, scope=None, resource=None)
            assert refreshed == error

    @rule(seconds=st.sampled_from([1, 60, 299]))
    def time_passes(self, seconds):
        self.now += seconds
        self.system.advance(seconds)

    @invariant()
    def tokens_live_with_the_registration_that_got_them(self):
        all_had = [(known, had) for known in self.known for had in known.had[-2:]][-LATEST:]
        sessions = self.system.sessions([(had.pair.access, None) for _, had in all_had]) if all_had else []
        lives = [known.is_usable and self.now < had.access_until for known, had in all_had]
        assert [session is not None for session in sessions] == lives

    @invariant()
    def one_registration_is_recorded_for_each_that_was_new(self):
        if self.known:
            assert self.system.recorded() == self.evidence

    @property
    def _gone(self):
        return [known for known in self.known if known.had and not known.is_usable]

    def _latest(self, known):
        """Return the registration that the client id names now."""
        return next(other for other in reversed(self.known) if other.client_id == known.client_id)


def _with_port(uri, port):
    """Return an http URI of one of the hosts that are used here with another port."""
    scheme, _, rest = uri.partition("://")
    authority, slash, path = rest.partition("/")
    host = authority[: authority.index("]") + 1] if "]" in authority else authority.partition(":")[0]
    return f"{scheme}://{host}{port}{slash}{path}"
