"""Forms as they come in: whose they are, and what they were made for."""

from typing import Any

from litestar import Request
from msgspec import Struct

from grantledger.adapters.http.pages.browser import ACCOUNT, FormTokens, Visit, Visits
from grantledger.adapters.http.pages.sessions import BrowserSessions
from grantledger.adapters.http.parameters import Parameters, read_form
from grantledger.domain.authorization_request import SignInNeeded
from grantledger.domain.browser_session import BrowserSession


class Submitted(Struct, frozen=True):
    """A form of a visit of this browser, which may have been made for another session."""

    visit: Visit
    session: BrowserSession | None
    form: Parameters


class OfAccount(Struct, frozen=True):
    """A form that somebody sent who is signed in, about their own account."""

    session: BrowserSession
    form: Parameters


class Submissions:
    def __init__(self, visits: Visits, sessions: BrowserSessions, tokens: FormTokens) -> None:
        self._visits = visits
        self._sessions = sessions
        self._tokens = tokens

    async def received(self, request: Request[Any, Any, Any], place: str) -> Submitted:
        """Raises `ParkedRequestLost`, `ParametersMalformed`, `ParameterRepeated`."""
        visit = self._visits.find(request, place)
        form = await read_form(request)
        return Submitted(visit, await self._sessions(request), form)

    async def checked(self, request: Request[Any, Any, Any], place: str) -> Submitted:
        """Return a form that was made for this session. Raises as `received` does, and `FormForeign`."""
        sent = await self.received(request, place)
        self._tokens.check(sent.form, sent.visit, sent.session)
        return sent

    async def of_account(self, request: Request[Any, Any, Any]) -> OfAccount:
        """Return a form of the account pages. Raises as `checked` does, and `SignInNeeded`."""
        sent = await self.received(request, ACCOUNT)
        if sent.session is None:
            raise SignInNeeded
        self._tokens.check(sent.form, sent.visit, sent.session)
        return OfAccount(sent.session, sent.form)

    def made_for_nobody(self, sent: Submitted) -> bool:
        """Whether the form was made when nobody was signed in."""
        return self._tokens.fits(sent.form, sent.visit, None)

    def check(self, sent: Submitted) -> None:
        """Raises `FormForeign`."""
        self._tokens.check(sent.form, sent.visit, sent.session)
