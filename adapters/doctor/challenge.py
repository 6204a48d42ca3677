"""How the MCP server answers a client that has no token yet."""

from grantledger.adapters.doctor.http import Answer, Http, is_loopback, without_query
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.subject import INITIALIZE, MCP_HEADERS, Challenge, Subject
from grantledger.adapters.guards.discovery_paths import origin_of

_UNAUTHORIZED = 401
_SUCCESS = range(200, 300)
_NOT_A_TOKEN = "grantledger-doctor-is-no-token"
_SCOPES_OF_SERVER = "offline_access"


async def first_message(url: str, http: Http) -> Answer:
    """Send the first message of a client, without a token."""
    return await http.send("POST", url, headers=MCP_HEADERS, json=INITIALIZE)


async def examine_challenge(first: Answer, subject: Subject, http: Http, report: Report) -> None:
    """Judge the answer to the first message, to a bad token, and to other methods."""
    challenge = subject.challenge
    safe = subject.url.startswith("https://") or is_loopback(subject.url)
    report.judge("https", safe, f"the URL is {subject.url!r}")
    is_refused = first.status == _UNAUTHORIZED and challenge.is_bearer
    without = "" if challenge.is_bearer else ", without `WWW-Authenticate: Bearer`"
    if report.judge("challenge", is_refused, f"{first.seen}{without}"):
        _judge_parameters(challenge, report)
    await _bad_token(subject, http, report)
    await _other_methods(subject, http, report)
    await _slash(subject, http, report)


def _judge_parameters(challenge: Challenge, report: Report) -> None:
    names = [name for name, _ in challenge.parameters]
    twice = sorted({name for name in names if names.count(name) > 1})
    unquoted = sorted({name for name, value in challenge.parameters if not value.startswith('"')})
    report.judge("challenge-one-line", len(challenge.lines) == 1, f"{len(challenge.lines)} headers")
    report.judge("challenge-one-line", not twice, f"twice: {', '.join(twice)}")
    report.judge("challenge-one-line", not unquoted, f"without quotation marks: {', '.join(unquoted)}")
    metadata = challenge.get("resource_metadata")
    report.judge("challenge-metadata", metadata, "no resource_metadata in the challenge")
    scope = challenge.get("scope")
    report.judge("challenge-scope", scope, "no scope in the challenge")
    error = challenge.get("error")
    report.judge("challenge-error", error is None, f"error={error!r} for a request without a token")
    wanted = (scope or "").split()
    report.judge("offline-access", _SCOPES_OF_SERVER not in wanted, "offline_access is in the challenge")


async def _bad_token(subject: Subject, http: Http, report: Report) -> None:
    headers = {**MCP_HEADERS, "authorization": f"Bearer {_NOT_A_TOKEN}"}
    answer = await http.send("POST", subject.url, headers=headers, json=INITIALIZE)
    if report.judge("bad-token", answer.status == _UNAUTHORIZED, f"with a bad token {answer.seen}"):
        error = Challenge.of(answer).get("error")
        report.judge("bad-token-error", error == "invalid_token", f"error={error!r} for a bad token")


async def _other_methods(subject: Subject, http: Http, report: Report) -> None:
    get = await http.send("GET", subject.url, headers=MCP_HEADERS)
    head = await http.send("HEAD", subject.url, headers=MCP_HEADERS)
    delete = await http.send("DELETE", subject.url, headers=MCP_HEADERS)
    for answer in (get, head, delete):
        report.judge("unguarded-method", answer.status not in _SUCCESS, answer.seen)
    report.judge("head", head.status == get.status, f"{head.seen}, and {get.seen}")


async def _slash(subject: Subject, http: Http, report: Report) -> None:
    if subject.url.endswith("/"):
        return
    answer = await first_message(f"{subject.url}/", http)
    report.judge("unguarded-method", answer.status not in _SUCCESS, answer.seen)
    target = answer.redirect
    same = target is None or origin_of(target) == origin_of(subject.url)
    report.judge(
        "slash", same, f"{without_query(f'{subject.url}/')} redirects to {without_query(target or '')}"
    )
