"""The form of the consent page."""

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from grantledger.adapters.http.errors import FormForeign, ParkedRequestLost
from grantledger.adapters.http.middleware import note_refusal
from grantledger.adapters.http.pages.flow import AuthorizationFlow
from grantledger.adapters.http.pages.submissions import Submissions
from grantledger.application.authorization.give_consent import GiveConsent
from grantledger.domain.authorization_request import SentBack


def consent_form(
    flow: AuthorizationFlow, submissions: Submissions, give_consent: GiveConsent
) -> HTTPRouteHandler:
    @post(f"{flow.base_path}/authorize/{{place:str}}/consent")
    async def submit_consent(request: Request[Any, Any, Any], place: FromPath[str]) -> Response[bytes]:
        sent = await submissions.checked(request, place)
        waiting = sent.visit.waiting
        if waiting is None:
            raise ParkedRequestLost
        decision = sent.form.get("decision")
        if decision not in ("allow", "deny"):
            raise FormForeign("no decision")
        try:
            issued = await give_consent(
                waiting, sent.session, allowed=decision == "allow", caller=flow.caller_of(request)
            )
        except SentBack as denied:
            note_refusal(request.scope, denied)
            return flow.done(waiting, flow.responses.error(denied))
        return flow.done(waiting, flow.responses.success(issued))

    return submit_consent
