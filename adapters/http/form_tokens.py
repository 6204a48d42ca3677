"""CSRF tokens: a form works only in the browser, session and transaction that it was made for."""

from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.http.parameters import Parameters
from grantledger.adapters.http.refusals import FormForeign
from grantledger.domain.authorization_request import AuthorizationRequest
from grantledger.domain.browser_session import BrowserSession

FIELD = "csrf_token"

_PURPOSE = "form token"


class FormTokens:
    """The transaction's cookie proves the browser; the token proves that our page was read there."""

    def __init__(self, digests: KeyedDigests) -> None:
        self._digests = digests

    def make(self, waiting: AuthorizationRequest, session: BrowserSession | None) -> str:
        return self._digests.digest(_PURPOSE, *_parts(waiting, session))

    def fits(self, form: Parameters, waiting: AuthorizationRequest, session: BrowserSession | None) -> bool:
        return self._digests.matches(form.get(FIELD) or "", _PURPOSE, *_parts(waiting, session))

    def check(self, form: Parameters, waiting: AuthorizationRequest, session: BrowserSession | None) -> None:
        """Raises `FormForeign`."""
        if not self.fits(form, waiting, session):
            raise FormForeign


def _parts(waiting: AuthorizationRequest, session: BrowserSession | None) -> tuple[str, str, str]:
    return (waiting.transaction_id, session.session_id if session else "", session.user_id if session else "")
