"""What operators do, clients that register, and time."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec.structs import replace

from properties.whole_server import facts
from properties.whole_server.facts import WINDOW, Credentials, Program
from properties.whole_server.promises import Registered, User
from properties.whole_server.world import PICKS, World, newest

KINDS = {
    "editor": Program(name="editor", redirect_uris=(facts.EDITOR, facts.MIRROR)),
    "native": Program(name="native", redirect_uris=(facts.LOOPBACK,)),
    "backend": Program(name="backend", redirect_uris=(facts.EDITOR,), auth_method="client_secret_post"),
    "viewer": Program(name="viewer", redirect_uris=(facts.EDITOR,), grant_types=("authorization_code",)),
}
MOST_CLIENTS = 10


class Operators(World):
    @precondition(lambda self: len(self.clients) < MOST_CLIENTS)
    @rule(kind=st.sampled_from(list(KINDS)), version=st.integers(1, 2))
    def registers(self, kind, version):
        self.registered(replace(KINDS[kind], name=f"{kind} {version}{self.system.salt}"))

    def registered(self, program):
        before = [client for client in self.clients if client.program == program]
        answer = self.system.register(program)
        if program.is_public and before and not before[-1].deleted:
            assert answer == ("access_denied" if before[-1].disabled else before[-1].credentials)
            return
        assert isinstance(answer, Credentials)
        assert (answer.secret is None) == program.is_public
        known = {client.client_id for client in self.clients}
        assert (answer.client_id in known) == (program.is_public and bool(before))
        if program.is_public and before:
            assert answer == before[-1].credentials
        self.clients.append(Registered(program, answer))

    @precondition(lambda self: self.is_late and self.usable_clients)
    @rule(client=PICKS)
    def a_client_is_disabled(self, client):
        client = newest(self.usable_clients, client)
        self.system.disable_client(client.client_id)
        client.disabled = True

    @precondition(lambda self: self.is_late and any(not client.deleted for client in self.clients))
    @rule(client=PICKS, anew=st.sampled_from([True, True, False]))
    def a_client_is_deleted(self, client, anew):
        client = newest([client for client in self.clients if not client.deleted], client)
        self.system.delete_client(client.client_id)
        client.deleted = True
        if anew:
            self.registered(client.program)

    @precondition(lambda self: self.is_late and self.usable_users)
    @rule(user=PICKS)
    def a_user_is_disabled(self, user):
        user = newest(self.usable_users, user)
        self.system.disable_user(user.user_id)
        user.disabled = True

    @precondition(lambda self: len(self.usable_users) < 2)
    @rule()
    def an_account_is_opened(self):
        self.users.append(User(*self.system.open_account()))

    @rule(seconds=st.sampled_from([1, 10, 59, 60, 61, 290]))
    def time_passes(self, seconds):
        self.passes(seconds)

    @rule(edge=st.integers(0, 5), early=st.sampled_from([0, 1]))
    def time_passes_until_something_ends(self, edge, early):
        ends = {code.until for code in self.codes} | {tab.until for tab in self.tabs}
        ends |= {browser.cookie.until for browser in self.browsers if browser.cookie}
        for issued in self.issued:
            ends |= {issued.access_until, issued.refresh_until, issued.grant.until}
            ends |= {issued.superseded_at + WINDOW} if issued.superseded_at is not None else set()
        ahead = sorted(end for end in ends if end - early > self.now)
        if ahead:
            self.passes(ahead[min(edge, len(ahead) - 1)] - early - self.now)
