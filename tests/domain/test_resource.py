import pytest

from grantledger.domain.resource import (
    MAX_RESOURCES,
    ResourceAdded,
    ResourceAuthenticationFailed,
    ResourceKnown,
    ResourceRemoved,
    Resources,
    ResourceSecretRotated,
    ResourceUnknown,
    TooManyResources,
    evolve,
)
from grantledger.domain.resource_indicator import Resource

FILES = Resource("https://files.example/mcp", "Files", ("files:read",))
CONFIGURED = ("https://mcp.example/mcp",)


def add(resources: Resources, resource: Resource = FILES, number: int = 1) -> Resources:
    events = resources.add(
        resource,
        configured=CONFIGURED,
        resource_id=f"glr_{number}",
        secret_digest=f"digest-{number}",
        now=1_000,
    )
    for event in events:
        resources = evolve(resources, event)
    return resources


def rotate(resources: Resources, *, overlap: int) -> Resources:
    (rotated,) = resources.rotate_secret("glr_1", secret_digest="new", overlap=overlap, now=2_000)
    return evolve(resources, rotated)


def test_adding_a_resource_records_the_digest_of_its_secret():
    events = Resources().add(
        FILES, configured=CONFIGURED, resource_id="glr_1", secret_digest="digest", now=1_000
    )
    assert events == (
        ResourceAdded(
            resource_id="glr_1",
            identifier=FILES.identifier,
            name="Files",
            scopes=("files:read",),
            in_settings=False,
            secret_digest="digest",
            added_at=1_000,
        ),
    )


def test_an_added_resource_is_offered():
    assert add(Resources()).added == (FILES,)


def test_a_resource_of_the_settings_gets_only_credentials():
    resources = add(Resources(), Resource("https://MCP.example/mcp", "Other name", ("other",)))
    (held,) = resources.resources
    assert (held.in_settings, held.name, held.scopes) == (True, "", ())
    assert resources.added == ()


def test_a_resource_is_found_by_its_id_and_in_any_spelling_of_its_identifier():
    resources = add(Resources())
    (held,) = resources.resources
    for name in ("glr_1", FILES.identifier, "https://FILES.example:443/mcp"):
        assert resources.find(name) == held


def test_a_resource_is_not_added_twice():
    with pytest.raises(ResourceKnown):
        add(add(Resources()), Resource("https://FILES.example/mcp"), 2)


@pytest.mark.parametrize("other", [FILES.identifier, *CONFIGURED])
def test_a_resource_that_differs_from_another_by_a_slash_is_not_added(other):
    with pytest.raises(ResourceKnown):
        add(add(Resources()), Resource(f"{other}/"), 2)


def test_the_ledger_holds_a_hundred_resources_at_most():
    resources = Resources()
    for number in range(MAX_RESOURCES):
        resources = add(resources, Resource(f"https://{number}.example"), number)
    with pytest.raises(TooManyResources):
        add(resources)


def test_the_secret_of_a_resource_authenticates_its_server():
    add(Resources()).find("glr_1").authenticate("digest-1", now=1_000)


@pytest.mark.parametrize("wrong", ["", "digest-2"])
def test_a_wrong_secret_does_not_authenticate_a_server(wrong):
    with pytest.raises(ResourceAuthenticationFailed):
        add(Resources()).find("glr_1").authenticate(wrong, now=1_000)


def test_the_previous_secret_is_accepted_until_its_overlap_ends():
    resource = rotate(add(Resources()), overlap=60).find("glr_1")
    resource.authenticate("digest-1", now=2_059)
    with pytest.raises(ResourceAuthenticationFailed):
        resource.authenticate("digest-1", now=2_060)


def test_a_new_secret_is_accepted_at_once():
    rotate(add(Resources()), overlap=60).find("glr_1").authenticate("new", now=2_000)


def test_without_an_overlap_the_previous_secret_is_refused_at_once():
    with pytest.raises(ResourceAuthenticationFailed):
        rotate(add(Resources()), overlap=0).find("glr_1").authenticate("digest-1", now=2_000)


def test_a_rotation_changes_the_secret_of_one_resource_only():
    resources = add(add(Resources()), Resource("https://notes.example"), 2)
    rotate(resources, overlap=0).find("glr_2").authenticate("digest-2", now=2_000)


def test_a_removed_resource_is_not_offered_and_cannot_be_named():
    resources = add(Resources())
    (removed,) = resources.remove(FILES.identifier, now=2_000)
    assert removed == ResourceRemoved(resource_id="glr_1", removed_at=2_000)
    resources = evolve(resources, removed)
    assert resources.added == ()
    with pytest.raises(ResourceUnknown):
        resources.find("glr_1")


def test_a_removed_resource_can_be_added_again():
    resources = add(Resources())
    (removed,) = resources.remove("glr_1", now=2_000)
    assert add(evolve(resources, removed), number=2).added == (FILES,)


@pytest.mark.parametrize("decide", [Resources.remove, Resources.rotate_secret])
def test_every_change_of_an_unknown_resource_is_refused(decide):
    more = {"secret_digest": "new", "overlap": 0} if decide is Resources.rotate_secret else {}
    with pytest.raises(ResourceUnknown):
        decide(add(Resources()), "glr_2", now=2_000, **more)


def test_a_rotation_records_until_when_the_previous_secret_is_accepted():
    assert add(Resources()).rotate_secret("glr_1", secret_digest="new", overlap=60, now=2_000) == (
        ResourceSecretRotated(
            resource_id="glr_1", secret_digest="new", previous_until=2_060, rotated_at=2_000
        ),
    )
