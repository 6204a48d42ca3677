"""What real clients send to `POST /register`."""

from pathlib import Path

import msgspec
from msgspec import Struct

from grantledger.domain.client_metadata import RegistrationRequest

_FOLDER = Path(__file__).parents[1] / "fixtures" / "registrations"

CLIENTS = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


class _Registration(Struct, forbid_unknown_fields=True):
    request: msgspec.Raw
    note: str


def registration_body(client: str) -> bytes:
    """Return the body of the request, with the members that we ignore."""
    fixture = msgspec.json.decode((_FOLDER / f"{client}.json").read_bytes(), type=_Registration)
    return bytes(fixture.request)


def registration_request(client: str) -> RegistrationRequest:
    """Return the request as the endpoint decodes it."""
    return msgspec.json.decode(registration_body(client), type=RegistrationRequest)
