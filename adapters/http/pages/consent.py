"""The consent page and its form."""

from litestar import Response
from litestar.params import FromPath

from grantledger.adapters.embedding.host_identity import Confirm
from grantledger.adapters.http.errors import FormForeign, PendingRequestLost
from grantledger.adapters.http.middleware import note_refusal
from grantledger.adapters.http.oauth.authorization_response import AuthorizationResponses
from grantledger.adapters.http.pages.browser import PageContext
from grantledger.adapters.http.pages.parts import PageParts
from grantledger.adapters.http.pages.rendering import ConsentPage, scope_lines
from grantledger.adapters.http.pages.responses import page
from grantledger.adapters.http.pages.sessions import host_user_id
from grantledger.adapters.http.pages.sign_in import confirm_page
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.authorization.give_consent import GiveConsent
from grantledger.application.authorization.resume_authorization import AskForConsent
from grantledger.domain import redirect_uri
from grantledger.domain.authorization_request import AuthorizationRequest, SentBack
from grantledger.domain.scope import split


def consent_page(
    parts: PageParts,
    asking: AskForConsent,
    context: PageContext,
    pending: AuthorizationRequest,
    *,
    user_name: str,
) -> Response[bytes]:
    client = asking.client
    built_in = parts.ways.built_in
    html = parts.render(
        ConsentPage(
            base_path=parts.base_path,
            home=context.home.path,
            segment=context.segment,
            csrf_token=parts.csrf.make(context, asking.session),
            user_name=user_name,
            own_sessions=parts.ways.own_sessions,
            logout_page=parts.ways.logout_page,
            client_name=client.metadata.client_name,
            client_id=client.client_id,
            client_uri=client.metadata.client_uri,
            redirect_host=redirect_uri.shown_host(pending.redirect_uri),
            is_loopback=redirect_uri.is_loopback(pending.redirect_uri),
            is_private_use=redirect_uri.is_private_use(pending.redirect_uri),
            self_registered=not client.approved,
            refreshes=client.refreshes,
            scopes=scope_lines(asking.scopes, built_in=built_in),
            allowed_before=scope_lines(asking.allowed_before, built_in=built_in),
            resource=pending.resource,
            resource_name=parts.catalogue.latest.name_of(pending.resource),
        )
    )
    return page(html)


class ConsentEndpoint:
    def __init__(
        self,
        parts: PageParts,
        responses: AuthorizationResponses,
        give_consent: GiveConsent,
        confirm: Confirm | None,
    ) -> None:
        self._parts = parts
        self._responses = responses
        self._give_consent = give_consent
        self._confirm = confirm

    async def submit_consent(self, request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
        submitted = await self._parts.submitted(request, segment)
        self._parts.check_csrf(submitted)
        pending = submitted.context.pending
        if pending is None:
            raise PendingRequestLost
        decision = submitted.form.get("decision")
        if decision not in ("allow", "deny"):
            raise FormForeign("no decision")
        scope = submitted.form.get("scope")
        if decision == "allow" and submitted.session is not None and not await self._confirmed(request):
            return confirm_page(self._parts, submitted.context)
        caller = self._parts.caller_of(request)
        try:
            issued = await self._give_consent(
                pending,
                submitted.session,
                allowed=decision == "allow",
                caller=caller,
                shown=None if scope is None else split(scope),
                facts=submitted.facts,
            )
        except SentBack as denied:
            note_refusal(request.scope, denied)
            response = self._responses.error(denied)
            for cookie in self._parts.pending_requests.forget(pending.transaction_id, submitted.context.home):
                response.set_cookie(cookie)
            return response
        return self._responses.success(issued)  # the cookie stays, for a second Allow (ADR 0059)

    async def _confirmed(self, request: AnyRequest) -> bool:
        """Return whether the user may allow this. Only a host application with `confirm` can refuse it."""
        return self._confirm is None or await self._confirm(request.scope, host_user_id(request))
