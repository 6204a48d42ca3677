"""CSRF tokens: a form works only in the browser, session and visit that it was made for."""

from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.http.parameters import Parameters
from grantledger.adapters.http.refusals import FormForeign
from grantledger.adapters.http.visits import Visit
from grantledger.domain.browser_session import BrowserSession

FIELD = "csrf_token"

_PURPOSE = "form token"


class FormTokens:
    """The visit's cookie proves the browser; the token proves that our page was read there."""

    def __init__(self, digests: KeyedDigests) -> None:
        self._digests = digests

    def make(self, visit: Visit, session: BrowserSession | None) -> str:
        return self._digests.digest(_PURPOSE, *_parts(visit, session))

    def fits(self, form: Parameters, visit: Visit, session: BrowserSession | None) -> bool:
        return self._digests.matches(form.get(FIELD) or "", _PURPOSE, *_parts(visit, session))

    def check(self, form: Parameters, visit: Visit, session: BrowserSession | None) -> None:
        """Raises `FormForeign`."""
        if not self.fits(form, visit, session):
            raise FormForeign


def _parts(visit: Visit, session: BrowserSession | None) -> tuple[str, str, str]:
    return (visit.ticket, session.session_id if session else "", session.user_id if session else "")
