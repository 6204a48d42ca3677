"""`@requires` on a function, and the functions that code inside of it can call."""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from grantledger import (
    AccessRefused,
    acting_as,
    current_session,
    has_any_scope,
    has_scope,
    require_permission,
    require_role,
    require_scope,
    requires,
)
from grantledger.adapters.guards.requires import Requirement, Unchecked, declared_requirement
from grantledger.application.tokens.mcp_session import McpSession
from support.guarding import SESSION

ADA = replace(SESSION, scopes=("read", "write"), roles=("editor",), permissions=("notes.delete",))


@pytest.fixture
def as_ada():
    with acting_as(ADA):
        yield


def missing(requirement: Requirement, session: McpSession | None) -> tuple[str, ...]:
    with pytest.raises(AccessRefused) as refused:
        requirement.verify(session)
    return refused.value.missing


@pytest.mark.parametrize(
    "requirement",
    [
        requires(),
        requires("read", "write"),
        requires("read", roles="editor", permissions=["notes.delete"]),
        requires(check=lambda session: session.client_id == "glc_editor"),
    ],
)
def test_a_session_that_has_everything_is_allowed(requirement):
    requirement.verify(ADA)


def test_all_missing_scopes_are_named_at_once():
    assert missing(requires("share", "read", "delete"), ADA) == ("share", "delete")


@pytest.mark.parametrize(
    "requirement",
    [
        requires("share", roles="admin"),
        requires("share", permissions="notes.share"),
        requires("share", check=lambda _: False),
    ],
)
def test_a_refusal_for_another_reason_names_no_scopes(requirement):
    assert missing(requirement, ADA) == ()


@pytest.mark.parametrize("roles", [("editor", "admin"), "admin"])
def test_every_role_is_needed(roles):
    assert missing(requires(roles=roles), ADA) == ()


def test_every_permission_is_needed():
    assert missing(requires(permissions=("notes.delete", "notes.share")), ADA) == ()


def test_a_permission_is_no_scope_and_no_role():
    """The user has the permission, but has not given it to this client."""
    for requirement in (requires("notes.delete"), requires(roles="notes.delete")):
        with pytest.raises(AccessRefused):
            requirement.verify(ADA)


def test_without_a_session_nothing_passes():
    assert missing(requires("read"), None) == ("read",)
    assert missing(requires(), None) == ()


def test_a_check_that_raises_refuses_and_is_logged(caplog):
    with caplog.at_level(logging.ERROR):
        assert missing(requires("read", check=lambda session: session.claims["no_such_claim"]), ADA) == ()
    assert "no_such_claim" in caplog.text


def test_a_check_that_returns_an_awaitable_refuses():
    """Without a special case it would pass, because every awaitable counts as true."""
    future: asyncio.Future[bool] = asyncio.Future(loop=asyncio.new_event_loop())
    assert missing(requires(check=lambda _: future), ADA) == ()
    future.get_loop().close()


def test_an_async_check_is_a_value_error():
    async def check(_: McpSession) -> bool:
        return True

    with pytest.raises(ValueError, match="without async"):
        requires(check=check)


@pytest.mark.parametrize("scope", ["two words", 'a"b', "scope=x", ""])
def test_a_scope_that_a_challenge_cannot_hold_is_a_value_error(scope):
    with pytest.raises(ValueError, match="scope"):
        requires(scope)


def test_requires_without_parentheses_is_a_type_error():
    with pytest.raises(TypeError, match=r'write @requires\("todo:write"'):
        requires(lambda: "a tool")  # type: ignore[arg-type]


def test_only_functions_can_be_decorated():
    with pytest.raises(TypeError, match="below"):
        requires("read")(object())  # type: ignore[type-var]


@pytest.mark.usefixtures("as_ada")
def test_a_decorated_function_runs_for_an_allowed_session():
    assert requires("read")(lambda text: text.upper())("a") == "A"


def _recording(ran: list[int]) -> Callable[[], Any]:
    def work() -> Any:
        ran.append(1)

    return work


@pytest.mark.usefixtures("as_ada")
def test_a_decorated_function_does_not_run_for_a_refused_session():
    ran: list[int] = []
    result: Any = requires("share")(_recording(ran))()
    assert ran == []
    assert result.is_error
    assert result.content[0].text == "The access token needs the scopes share."


async def test_a_decorated_async_function_does_not_run_for_a_refused_session():
    ran: list[int] = []

    @requires(roles="admin")
    async def work() -> Any:
        ran.append(1)

    with acting_as(ADA):
        result = await work()
    assert ran == []
    assert "may not do this" in result.content[0].text


async def test_the_requirements_of_two_decorators_add_up():
    @requires("read")
    @requires("share")
    async def work() -> Any:
        return "done"

    assert declared_requirement(work) == requires("read", "share")
    with acting_as(ADA):
        assert (await work()).is_error


@pytest.mark.usefixtures("as_ada")
def test_a_bound_method_can_be_decorated():
    class Notes:
        def list(self) -> Any:
            return "notes"

    assert requires("read")(Notes().list)() == "notes"
    assert requires("share")(Notes().list)().is_error


@pytest.mark.usefixtures("as_ada")
def test_a_refusal_inside_of_a_decorated_function_is_its_result():
    @requires()
    def work(owner: str) -> Any:
        require_scope("read")
        if owner == "all":
            require_scope("share")
        return "done"

    assert work("me") == "done"
    assert work("all").is_error


@pytest.mark.usefixtures("as_ada")
def test_has_scope_asks_for_all_and_has_any_scope_for_one():
    assert has_scope("read", "write")
    assert not has_scope("read", "share")
    assert has_any_scope("share", "read")
    assert not has_any_scope("share")


def test_without_a_session_there_is_no_scope():
    assert not has_scope()
    assert not has_any_scope("read")


def test_has_scope_can_be_asked_about_another_session():
    assert has_scope("read", session=ADA)
    assert has_any_scope("share", "read", session=ADA)


def test_acting_as_makes_a_session_the_current_one_for_a_block():
    with acting_as(ADA):
        with acting_as(None):
            assert current_session() is None
        assert current_session() is ADA
        assert has_scope("read")
    assert current_session() is None


@pytest.mark.usefixtures("as_ada")
def test_require_functions_raise_what_is_missing():
    require_role("editor")
    require_permission("notes.delete")
    with pytest.raises(AccessRefused, match="share"):
        require_scope("read", "share")
    for refused in (lambda: require_role("admin"), lambda: require_permission("notes.share")):
        with pytest.raises(AccessRefused, match="may not do this"):
            refused()


def test_a_requirement_above_a_registered_function_is_found_unchecked():
    @requires("a")
    def tool() -> None: ...

    assert declared_requirement(tool) == requires("a")
    requires("b")(tool)
    with pytest.raises(Unchecked, match="below the decorator"):
        declared_requirement(tool)


def test_a_decorator_above_requires_changes_nothing():
    @functools.wraps(inner := requires("a")(lambda: None))
    def outer() -> None:
        return inner()

    assert declared_requirement(outer) == requires("a")
