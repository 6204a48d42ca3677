"""Short names for the pages that refuse a user."""

from grantledger.adapters.http.errors import FormForeign, PendingRequestLost
from grantledger.adapters.http.pages.errors import page_refusal
from grantledger.domain.authorization_request import AlreadyConnected, SignInNeeded, TransactionSpent
from grantledger.domain.client_registration import ClientIsDisabled, ClientUnknown
from grantledger.domain.redirect_uri import RedirectUriMismatch
from grantledger.domain.refusal import Refusal

_NAMES: dict[type[Refusal], str] = {
    ClientUnknown: "unknown client",
    ClientIsDisabled: "disabled client",
    RedirectUriMismatch: "wrong redirect URI",
    PendingRequestLost: "expired",
    FormForeign: "foreign form",
    SignInNeeded: "not signed in",
    AlreadyConnected: "connected",
    TransactionSpent: "spent",
}
_TITLES = {page_refusal(refusal()).title: name for refusal, name in _NAMES.items()}


def name_of(refusal: Refusal) -> str:
    return _NAMES[type(refusal)]


def name_of_page(title: str) -> str:
    return _TITLES[title]
