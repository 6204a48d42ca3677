"""Reading the form of a request whose parameters may not repeat."""

from typing import Any

from litestar import Request

from grantledger.adapters.http.parameters import Parameters, parsed
from grantledger.adapters.http.refusals import ParameterMissing, ParametersMalformed
from grantledger.domain.authorization_request import ParameterRepeated

FORM = "application/x-www-form-urlencoded"


async def read_form(request: Request[Any, Any, Any]) -> Parameters:
    """Return the body's parameters. Raises `ParametersMalformed` or `ParameterRepeated`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise ParametersMalformed("not a form")
    form = parsed(await request.body())
    # OAuth 2.1 section 3.2: "Request [...] parameters MUST NOT be included more than once".
    if form.repeated:
        raise ParameterRepeated(", ".join(sorted(form.repeated)))
    return form


def required(form: Parameters, name: str) -> str:
    """Return a parameter that must be there. Raises `ParameterMissing`."""
    value = form.get(name)
    if value is None:
        raise ParameterMissing(name)
    return value
