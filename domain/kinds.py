"""All kinds of aggregates and all events: a ledger holds no others."""

from typing import Any

from msgspec import Struct

from grantledger.domain.aggregate import Kind
from grantledger.domain.authorization_code import CODE
from grantledger.domain.browser_session import SIGNIN
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.consent import CONSENT
from grantledger.domain.master_secrets import SECRETS
from grantledger.domain.registration_tokens import REGISTRATION_TOKENS
from grantledger.domain.resource import RESOURCES
from grantledger.domain.signing_keys import KEYS
from grantledger.domain.token_grant import GRANT
from grantledger.domain.user_account import USER

KINDS: dict[str, Kind[Any]] = {
    kind.category: kind
    for kind in (CLIENT, CODE, GRANT, CONSENT, USER, SIGNIN, KEYS, SECRETS, REGISTRATION_TOKENS, RESOURCES)
}
"""By category, the first part of a stream id."""


def tag_of(event: Struct | type[Struct]) -> str:
    """Return the tag under which the event is stored."""
    return str(event.__struct_config__.tag)


EVENTS: dict[str, type[Struct]] = {tag_of(event): event for kind in KINDS.values() for event in kind.events}
"""By tag, the name under which events are stored."""
