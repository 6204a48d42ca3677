"""Resources and the secrets of their servers, against a model that keeps them in a dictionary."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec import Struct

from grantledger.domain.digests import digest
from grantledger.domain.resource import (
    HeldResource,
    ResourceAuthenticationFailed,
    ResourceKnown,
    Resources,
    ResourceUnknown,
    evolve,
)
from grantledger.domain.resource_indicator import Resource

IDENTIFIERS = ("https://a.example/mcp", "https://b.example", "https://settings.example/mcp")
CONFIGURED = IDENTIFIERS[2:]


class Known(Struct):
    """A resource in the model: its secret, and the earlier secret with the second at which that one ends."""

    resource_id: str
    secret: str
    previous: str = ""
    previous_until: int = 0


class ResourceLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.resources = Resources()
        self.known: dict[str, Known] = {}
        self.secrets: list[str] = []
        self.now = 1_000

    def fresh_secret(self) -> str:
        self.secrets.append(f"secret-{len(self.secrets)}")
        return self.secrets[-1]

    def record(self, events) -> None:
        for event in events:
            self.resources = evolve(self.resources, event)

    @rule(seconds=st.sampled_from([1, 59, 60, 3_600]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(identifier=st.sampled_from(IDENTIFIERS))
    def add(self, identifier: str) -> None:
        secret = self.fresh_secret()
        resource_id = f"glr_{len(self.secrets)}"
        try:
            self.record(
                self.resources.add(
                    Resource(identifier),
                    configured=CONFIGURED,
                    resource_id=resource_id,
                    secret_digest=digest(secret),
                    now=self.now,
                )
            )
        except ResourceKnown:
            assert identifier in self.known
        else:
            assert identifier not in self.known
            self.known[identifier] = Known(resource_id, secret)

    @rule(identifier=st.sampled_from(IDENTIFIERS), overlap=st.sampled_from([0, 60]))
    def rotate(self, identifier: str, overlap: int) -> None:
        secret = self.fresh_secret()
        try:
            self.record(
                self.resources.rotate_secret(
                    identifier, secret_digest=digest(secret), overlap=overlap, now=self.now
                )
            )
        except ResourceUnknown:
            assert identifier not in self.known
        else:
            before = self.known[identifier]
            self.known[identifier] = Known(before.resource_id, secret, before.secret, self.now + overlap)

    @rule(identifier=st.sampled_from(IDENTIFIERS))
    def remove(self, identifier: str) -> None:
        try:
            self.record(self.resources.remove(identifier, now=self.now))
        except ResourceUnknown:
            assert identifier not in self.known
        else:
            del self.known[identifier]

    @invariant()
    def only_what_was_added_and_not_removed_is_offered(self) -> None:
        offered = {resource.identifier for resource in self.resources.added}
        assert offered == self.known.keys() - set(CONFIGURED)

    @invariant()
    def exactly_the_present_secret_and_one_in_its_overlap_are_accepted(self) -> None:
        for known in self.known.values():
            held = self.resources.with_id(known.resource_id)
            expected = {known.secret}
            if self.now < known.previous_until:
                expected.add(known.previous)
            assert {secret for secret in self.secrets if self.accepts(held, secret)} == expected

    def accepts(self, held: HeldResource, secret: str) -> bool:
        try:
            held.authenticate(digest(secret), now=self.now)
        except ResourceAuthenticationFailed:
            return False
        return True


def test_a_resource_has_the_secrets_that_were_made_for_it_and_no_others():
    run_state_machine_as_test(ResourceLife)
