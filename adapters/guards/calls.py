"""The guard of single calls: it reads the JSON-RPC body, and refuses calls before the application sees it."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

from msgspec import Struct

from grantledger.adapters.asgi_types import ASGIApp, Headers, Message, Receive, Scope, Send
from grantledger.adapters.guards.check import warn_of_unknown_scopes
from grantledger.adapters.guards.components import listed_as, mcp_server_at, refuse_unchecked, requirement_in
from grantledger.adapters.guards.listings import LISTINGS, ShorterList
from grantledger.adapters.guards.messages import Call, MessageRefused, body_of, calls_in
from grantledger.adapters.guards.refusals import guard_response
from grantledger.adapters.guards.requires import Requirement
from grantledger.adapters.guards.rules import Rules, RuleTable
from grantledger.adapters.guards.scope_hierarchy import Inclusion, ScopeHierarchy
from grantledger.adapters.guards.source import GuardedResource
from grantledger.adapters.guards.step_up import AccessRefused, StepUp
from grantledger.adapters.http.errors import GuardRefusal, PlainResponse, json_response
from grantledger.application.tokens.mcp_session import McpSession

StepUpAnswer = Literal["http", "result"]
"""A refused tool call is answered with 403, or with 200 and an error result that ChatGPT understands."""

Hide = Literal["nothing", "forbidden", "unusable"]
"""What lists leave out: nothing; what no scope would allow; or everything that the session may not use."""

FindServer = Callable[[Scope], Any]
"""Returns the MCP server that answers a request, None if there is none."""


class CallOptions(Struct, frozen=True, kw_only=True):
    """The options of `with_mcp_auth` for single calls. By default, `find_server` searches the application."""

    rules: Rules = {}
    scope_hierarchy: ScopeHierarchy = {}
    step_up: StepUpAnswer = "http"
    hide: Hide = "nothing"
    find_server: FindServer | None = None


class Allowed(Struct, frozen=True):
    """A request to pass on. `receive` gives its body again, and `send` may shorten a list in the response."""

    receive: Receive
    send: Send
    headers: Headers


class CallGuard:
    def __init__(
        self, app: ASGIApp, guarded: GuardedResource, required_scopes: tuple[str, ...], options: CallOptions
    ) -> None:
        """Raises `ValueError` for a rule that fits no call, and for an unknown option.

        Also for a tool with `@requires` in the wrong order.
        """
        for option, given, known in (
            ("step_up", options.step_up, get_args(StepUpAnswer)),
            ("hide", options.hide, get_args(Hide)),
        ):
            if given not in known:
                raise ValueError(f"{option} must be {' or '.join(map(repr, known))}, not {given!r}")
        if options.find_server is None:
            refuse_unchecked(app)
        self._guarded = guarded
        self._metadata_url = guarded.metadata_url
        self._always = Requirement(scopes=required_scopes)
        self._rules = RuleTable(options.rules)
        warn_of_unknown_scopes(guarded, self._rules.scopes)
        self._find_server = options.find_server or partial(mcp_server_at, app)
        self._options = options
        self.step_up = StepUp(metadata_url=guarded.metadata_url, inclusion=Inclusion(options.scope_hierarchy))

    def server_at(self, scope: Scope) -> Any:
        """Return the MCP server whose tools a request may call, or this guard if only rules apply.

        None if the calls of the request need no check.
        """
        return self._find_server(scope) or (self if self._rules else None)

    async def checked(
        self,
        session: McpSession,
        server: Any,
        headers: Headers,
        receive: Receive,
        send: Send,
    ) -> Allowed | PlainResponse | None:
        """Return the request if each of its calls is allowed, or the refusal. None: the client has gone."""
        try:
            body = await body_of(receive, headers)
            if body is None:
                return None
            calls = calls_in(body, headers)
        except MessageRefused as refused:
            return guard_response(refused.refusal, self._metadata_url, ())
        # A request without a call, such as a GET, needs what every request needs.
        distinct = {(call.method, call.name): call for call in calls}.values()
        needed = [await self._requirement(server, call) for call in distinct] or [self._always]
        missing: list[str] = []
        for requirement in needed:
            try:
                requirement.verify(session)
            except AccessRefused as refused:
                if not refused.missing:
                    return self._refused(refused, session, calls, headers)
                missing += refused.missing
        if missing:
            return self._refused(
                AccessRefused(dict.fromkeys(missing), session=session), session, calls, headers
            )
        passed = Allowed(_again(body, receive), send, headers)
        return self._with_shorter_list(passed, session, server, calls)

    async def _requirement(self, server: Any, call: Call) -> Requirement:
        declared = await requirement_in(server, call)
        by_rules = self._always.joined(self._rules.of(call))
        if self._rules and (listed := await listed_as(server, call)) is not None:
            by_rules = by_rules.joined(self._rules.of(listed))
        return by_rules.joined(declared)

    def _refused(
        self, refused: AccessRefused, session: McpSession, calls: tuple[Call, ...], headers: Headers
    ) -> PlainResponse:
        warn_of_unknown_scopes(self._guarded, refused.missing)
        same_id = calls[0].id if calls and all(call.id == calls[0].id for call in calls) else None
        call = calls[0] if len(calls) == 1 else Call("", id=same_id)
        is_request = call.method == "tools/call" and call.id is not None
        if self._options.step_up == "result" and is_request and _accepts_stream(headers):
            return self._result(refused, session, call, headers)
        reason = GuardRefusal.SCOPE_MISSING if refused.missing else GuardRefusal.CALL_FORBIDDEN
        scopes = self.step_up.scopes(refused.missing, session)
        return guard_response(reason, self._metadata_url, scopes, call.id)

    def _result(
        self, refused: AccessRefused, session: McpSession, call: Call, headers: Headers
    ) -> PlainResponse:
        result = self.step_up.result(refused, session)
        version = next((value for name, value in headers if name == b"mcp-protocol-version"), b"")
        if version >= _FIRST_WITH_RESULT_TYPES:
            result["resultType"] = "complete"
        return json_response(
            200, {"jsonrpc": "2.0", "id": call.id, "result": result}, [(b"cache-control", b"no-store")]
        )

    def _with_shorter_list(
        self, passed: Allowed, session: McpSession, server: Any, calls: tuple[Call, ...]
    ) -> Allowed:
        if self._options.hide == "nothing" or len(calls) != 1 or calls[0].method not in LISTINGS:
            return passed

        async def is_shown(entry: Call) -> bool:
            try:
                (await self._requirement(server, entry)).verify(session)
            except AccessRefused as refused:
                return bool(refused.missing) and self._options.hide == "forbidden"
            return True

        # The guard cannot read a compressed list.
        headers = [header for header in passed.headers if header[0] != b"accept-encoding"]
        return Allowed(passed.receive, ShorterList(passed.send, calls[0].method, is_shown), headers)


def _accepts_stream(headers: Headers) -> bool:
    """Whether this is the streamable HTTP transport: the older one answers a POST on another connection."""
    return any(name == b"accept" and b"text/event-stream" in value for name, value in headers)


_FIRST_WITH_RESULT_TYPES = b"2026-07-28"


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with the whole body."""
    unread = [body]

    async def receive_again() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return receive_again
