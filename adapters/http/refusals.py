"""What can be wrong with a request before any use case sees it."""

from grantledger.domain.refusal import Refusal


class ParametersMalformed(Refusal):
    """Not a form: wrong media type, not UTF-8, too many parameters or too long a value."""


class ParameterMissing(Refusal):
    """A required parameter is not there."""


class ClientCredentialsMixed(Refusal):
    """Two ways of client authentication at once, or two client ids."""


class GrantTypeUnsupported(Refusal):
    """The grant type is not one of ours."""


class RegistrationMalformed(Refusal):
    """The body is not JSON, or a member of it has the wrong type."""


class ParkedRequestLost(Refusal):
    """No authorization request waits in this browser under that transaction id."""


class FormForeign(Refusal):
    """The form was not made for this browser, session and transaction (CSRF)."""


class RequestTooLarge(Refusal):
    """The authorization request is too large to be kept in the browser."""
