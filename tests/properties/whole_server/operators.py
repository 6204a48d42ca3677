"""What operators do, clients that register, and time."""

from hypothesis import strategies as st
from hypothesis.stateful import rule
from msgspec import json
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
MOST_CLIENTS, MOST_USERS = 10, 3


def metadata_of(program):
    return {
        "client_name": program.name,
        "redirect_uris": program.redirect_uris,
        "token_endpoint_auth_method": program.auth_method,
        "grant_types": program.grant_types,
    }


class Operators(World):
    @rule(kind=st.sampled_from(list(KINDS)), version=st.integers(1, 2))
    def registers(self, kind, version):
        if len(self.clients) == MOST_CLIENTS:
            self.passes(1)
            return
        self.registered(replace(KINDS[kind], name=f"{kind} {version}{self.system.salt}"))

    def registered(self, program):
        before = [client for client in self.clients if client.program == program]
        answer = self.system.register(json.encode(metadata_of(program)))
        if program.is_public and before and before[-1].disabled and not before[-1].deleted:
            assert (answer.status, answer.members["error"]) == (403, "access_denied")
            return
        assert answer.status == 201
        credentials = Credentials(answer.members["client_id"], answer.members.get("client_secret"))
        assert (credentials.secret is None) == program.is_public
        if program.is_public and before:
            assert credentials == before[-1].credentials
        else:
            assert credentials.client_id not in {client.client_id for client in self.clients}
        if not (program.is_public and before) or before[-1].deleted:
            self.clients.append(Registered(program, credentials))
            self.evidence[facts.REGISTERED] += 1

    @rule(client=PICKS)
    def a_client_is_disabled(self, client):
        if not (self.is_late and self.usable_clients):
            self.passes(1)
            return
        client = newest(self.usable_clients, client)
        self.system.disable_client(client.client_id)
        client.disabled = True

    @rule(client=PICKS, again=st.sampled_from([True, True, False]))
    def a_client_is_deleted(self, client, again):
        there = [client for client in self.clients if not client.deleted]
        if not (self.is_late and there):
            self.passes(1)
            return
        client = newest(there, client)
        self.deleted(client)
        if again:
            self.registered(client.program)

    def deleted(self, client):
        self.system.delete_client(client.client_id)
        client.deleted = True

    @rule(user=PICKS)
    def a_user_is_disabled(self, user):
        if not (self.is_late and self.usable_users):
            self.passes(1)
            return
        user = newest(self.usable_users, user)
        self.system.disable_user(user.user_id)
        user.disabled = True

    @rule(user=PICKS)
    def a_role_is_granted_or_revoked(self, user):
        if not self.usable_users:
            self.passes(1)
            return
        user = newest(self.usable_users, user)
        user.is_editor = not user.is_editor
        self.system.change_role(user.user_id, is_editor=user.is_editor)

    @rule()
    def an_account_is_opened(self):
        if len(self.usable_users) == MOST_USERS:
            self.passes(1)
            return
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
