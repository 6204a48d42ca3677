"""Requests that the authorization server must refuse, from a client that it does not know."""

from urllib.parse import urlencode

from grantledger.adapters.doctor.http import Answer, Http
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.subject import Subject

_UNKNOWN = "grantledger-doctor-unknown-client"
_NOWHERE = "https://grantledger-doctor.invalid/callback"
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""The example of RFC 7636 appendix B."""

_UNAUTHORIZED = 401
_THROTTLED = 429
_SUCCESS = range(200, 300)


async def examine_endpoints(subject: Subject, http: Http, report: Report) -> None:
    """Judge how both endpoints refuse an unknown client. Nothing is created."""
    if authorize := subject.endpoint("authorization_endpoint"):
        await _authorize(authorize, http, report)
    if token := subject.endpoint("token_endpoint"):
        form = {"grant_type": "refresh_token", "refresh_token": _UNKNOWN, "client_id": _UNKNOWN}
        answer = await http.send("POST", token, form=form)
        if answer.status != _THROTTLED:
            refused = (answer.status, answer.error) == (_UNAUTHORIZED, "invalid_client")
            report.judge("unknown-client", refused, f"a refresh by an unknown client: {answer.seen}")


async def _authorize(endpoint: str, http: Http, report: Report) -> None:
    query = {
        "response_type": "code",
        "client_id": _UNKNOWN,
        "redirect_uri": _NOWHERE,
        "state": "doctor",
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
    }
    answer = await http.send("GET", with_query(endpoint, query), headers={"accept": "text/html"})
    judge_cookies(answer, report)
    to_client = (answer.redirect or "").startswith(_NOWHERE)
    report.judge("open-redirect", not to_client, answer.seen)
    asks = answer.status in _SUCCESS and b'type="password"' in answer.body
    goes_on = (answer.redirect is not None and not to_client and "error" not in answer.redirect) or asks
    report.judge("checked-first", not goes_on, f"for an unknown client {answer.seen}")
    if not goes_on and answer.redirect is None:
        kind = answer.headers.get("content-type", "no type")
        report.judge("error-page", answer.is_page, f"{answer.seen} with {kind}")


def judge_cookies(answer: Answer, report: Report) -> None:
    """Judge the attributes of the cookies that the authorization endpoint sets."""
    for cookie in answer.headers.get_list("set-cookie"):
        name, attributes = cookie.partition("=")[0], [part.strip().lower() for part in cookie.split(";")[1:]]
        wanted = ("httponly", "secure") if answer.url.startswith("https://") else ("httponly",)
        missing = [one for one in wanted if one not in attributes]
        report.judge("cookies", not missing, f"{name} without {' and '.join(missing)}")


def with_query(endpoint: str, query: dict[str, str]) -> str:
    """Return the URL of the endpoint with these parameters added to its query."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"
