"""GET and POST /authorize (OAuth 2.1 section 3.1), and the URL that resumes a pending request."""

from litestar import Response
from litestar.params import FromPath
from msgspec.structs import replace

from grantledger.adapters.http.better_auth import BetterAuthPaths
from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.pages.flow import AuthorizationFlow
from grantledger.adapters.http.pages.parts import PageParts
from grantledger.adapters.http.pages.responses import redirect
from grantledger.adapters.http.parameters import Parameters, form_as_query, parsed
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.authorization.start_authorization import StartAuthorization
from grantledger.domain.authorization_request import AuthorizationParameters

_NAMES = frozenset(AuthorizationParameters.__struct_fields__) - {"resources", "repeated", "issuer"} | {
    "resource"
}


class AuthorizationEndpoint:
    """The authorization endpoint of the server, or of one resource with a `better_auth_path`.

    With `paths`, a request without `resource` is for the resource of these paths, and responses have their
    issuer.
    """

    def __init__(
        self,
        parts: PageParts,
        flow: AuthorizationFlow,
        start: StartAuthorization,
        paths: BetterAuthPaths | None = None,
    ) -> None:
        self._parts = parts
        self._flow = flow
        self._start = start
        self._paths = paths
        self._path = parts.homes.root.path if paths is None else paths.path("authorize")

    async def authorize(self, request: AnyRequest) -> Response[bytes]:
        if (url := self._parts.homes.elsewhere(request)) is not None:
            return redirect(url)
        parameters = self._addressed(_authorization_parameters(parsed(request.scope["query_string"])))
        note_client(request.scope, parameters.client_id)
        transaction_id = self._start.new_transaction_id()
        session, facts = await self._parts.sessions.asking(
            request, client_id=parameters.client_id or "", transaction_id=transaction_id
        )
        started = await self._start(parameters, session, transaction_id=transaction_id, facts=facts)
        return await self._flow.begin(request, started, session)

    async def authorize_by_post(self, request: AnyRequest) -> Response[bytes]:
        """Redirect to the same request as a GET. Only GET requests are handled (ADR 0057).

        OpenID Connect Core section 3.1.2.1 requires both methods. When another site posts a form here,
        browsers send no `Lax` cookie, so the user would not seem to be signed in.
        """
        return redirect(f"{self._path}?{await form_as_query(request, _NAMES)}")

    def _addressed(self, asked: AuthorizationParameters) -> AuthorizationParameters:
        if self._paths is None:
            return asked
        resources = asked.resources or (self._paths.resource.identifier,)
        return replace(asked, issuer=self._paths.issuer, resources=resources)

    async def resume(self, request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
        context = self._parts.contexts.find(request, segment)
        return await self._flow.proceed(request, context, await self._parts.sessions(request))

    async def reload(self, request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
        """Redirect to the page of the request.

        If the response to a form was a page, the browser shows the URL of the form, and a reload sends a GET
        to it.
        """
        return redirect(self._parts.contexts.find(request, segment).url)


def _authorization_parameters(query: Parameters) -> AuthorizationParameters:
    return AuthorizationParameters(
        client_id=query.get("client_id"),
        redirect_uri=query.get("redirect_uri"),
        response_type=query.get("response_type"),
        response_mode=query.get("response_mode"),
        scope=query.get("scope"),
        state=query.get("state"),
        code_challenge=query.get("code_challenge"),
        code_challenge_method=query.get("code_challenge_method"),
        prompt=query.get("prompt"),
        max_age=query.get("max_age"),
        nonce=query.get("nonce"),
        request=query.get("request"),
        request_uri=query.get("request_uri"),
        resources=query.resources,
        repeated=query.repeated,
    )
