"""The forms of the authorization pages: sign in, consent, sign out."""

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from grantledger.adapters.http.authorization_flow import SESSION, AuthorizationFlow
from grantledger.adapters.http.form_tokens import FormTokens
from grantledger.adapters.http.forms import read_form
from grantledger.adapters.http.page_answers import redirect
from grantledger.adapters.http.parameters import Parameters
from grantledger.adapters.http.refusals import FormForeign
from grantledger.adapters.http.request_log import note_refusal
from grantledger.application.give_consent import GiveConsent
from grantledger.application.sign_in import SignIn, SignInRefused
from grantledger.application.sign_out import SignOut
from grantledger.domain.authorization_request import AuthorizationRequest, SentBack
from grantledger.domain.browser_session import BrowserSession

WRONG_PASSWORD = "The e-mail address or the password is not right."


class Submitted(Struct, frozen=True):
    """A form of a transaction of this browser, which may have been made for another session."""

    waiting: AuthorizationRequest
    session: BrowserSession | None
    form: Parameters


async def received(
    request: Request[Any, Any, Any], transaction_id: str, flow: AuthorizationFlow
) -> Submitted:
    """Raises `ParkedRequestLost`, `ParametersMalformed`, `ParameterRepeated`."""
    waiting = flow.waiting(request, transaction_id)
    form = await read_form(request)
    return Submitted(waiting, await flow.session(request), form)


async def submitted(
    request: Request[Any, Any, Any], transaction_id: str, flow: AuthorizationFlow, tokens: FormTokens
) -> Submitted:
    """Return a form that was made for this session. Raises as `received` does, and `FormForeign`."""
    sent = await received(request, transaction_id, flow)
    tokens.check(sent.form, sent.waiting, sent.session)
    return sent


def sign_in_form(
    flow: AuthorizationFlow, tokens: FormTokens, sign_in: SignIn, sign_out: SignOut
) -> HTTPRouteHandler:
    @post(f"{flow.base_path}/authorize/{{transaction_id:str}}/sign-in")
    async def submit_sign_in(
        request: Request[Any, Any, Any], transaction_id: FromPath[str]
    ) -> Response[bytes]:
        sent = await received(request, transaction_id, flow)
        # Signed in meanwhile, in another tab: that sign-in stays, and the consent page shows whose it is.
        if sent.session is not None and tokens.fits(sent.form, sent.waiting, None):
            return redirect(flow.url_of(sent.waiting))
        tokens.check(sent.form, sent.waiting, sent.session)
        email, password = sent.form.get("email") or "", sent.form.get("password") or ""
        try:
            new = await sign_in(email, password, flow.caller_of(request))
        except SignInRefused as refusal:
            note_refusal(request.scope, refusal)
            return await flow.sign_in_again(
                request, sent.waiting, sent.session, email=email, problem=WRONG_PASSWORD
            )
        # A session that somebody else may know of must not become this user's.
        if sent.session is not None:
            await sign_out(sent.session, flow.caller_of(request))
        answer = redirect(flow.url_of(sent.waiting))
        lifetime = new.session.expires_at - new.session.signed_in_at
        answer.set_cookie(flow.cookies.set(SESSION, new.cookie, max_age=lifetime))
        return answer

    return submit_sign_in


def consent_form(flow: AuthorizationFlow, tokens: FormTokens, give_consent: GiveConsent) -> HTTPRouteHandler:
    @post(f"{flow.base_path}/authorize/{{transaction_id:str}}/consent")
    async def submit_consent(
        request: Request[Any, Any, Any], transaction_id: FromPath[str]
    ) -> Response[bytes]:
        sent = await submitted(request, transaction_id, flow, tokens)
        decision = sent.form.get("decision")
        if decision not in ("allow", "deny"):
            raise FormForeign("no decision")
        try:
            issued = await give_consent(
                sent.waiting, sent.session, allowed=decision == "allow", caller=flow.caller_of(request)
            )
        except SentBack as denied:
            note_refusal(request.scope, denied)
            return flow.done(sent.waiting, flow.responses.error(denied))
        return flow.done(sent.waiting, flow.responses.success(issued))

    return submit_consent


def sign_out_form(flow: AuthorizationFlow, tokens: FormTokens, sign_out: SignOut) -> HTTPRouteHandler:
    @post(f"{flow.base_path}/authorize/{{transaction_id:str}}/sign-out")
    async def submit_sign_out(
        request: Request[Any, Any, Any], transaction_id: FromPath[str]
    ) -> Response[bytes]:
        sent = await submitted(request, transaction_id, flow, tokens)
        if sent.session is not None:
            await sign_out(sent.session, flow.caller_of(request))
        answer = redirect(flow.url_of(sent.waiting))
        answer.set_cookie(flow.cookies.clear(SESSION))
        return answer

    return submit_sign_out
