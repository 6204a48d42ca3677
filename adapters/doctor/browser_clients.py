"""What a client in a browser needs: preflights, and responses that scripts may read."""

import asyncio

from grantledger.adapters.doctor.http import ORIGIN, Answer, Http
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.subject import INITIALIZE, MCP_HEADERS, Subject

_SUCCESS = range(200, 300)
_MCP = ("authorization", "content-type", "mcp-protocol-version")
_FORBIDDEN = 403


async def examine_for_browsers(subject: Subject, http: Http, report: Report) -> None:
    """Judge CORS at each URL that a client in a browser calls, and HEAD for metadata."""
    if not subject.is_issuer:
        await _mcp_server(subject, http, report)
    await _metadata(http, report)
    names = ("token_endpoint", "registration_endpoint", "revocation_endpoint")
    urls = [url for name in names if (url := subject.endpoint(name))]
    for answer in await asyncio.gather(*(preflight(url, "POST", _MCP[:2], http) for url in urls)):
        _judge_preflight(answer, _MCP[:2], "token-cors", report)
    if token := subject.endpoint("token_endpoint"):
        refused = await http.send("POST", token, headers={"origin": ORIGIN}, form={})
        _judge_readable(refused, "token-cors", report)
    if authorize := subject.endpoint("authorization_endpoint"):
        answer = await http.send("GET", authorize, headers={"origin": ORIGIN})
        cors = answer.headers.get("access-control-allow-origin")
        report.judge("authorize-cors", cors is None, f"Access-Control-Allow-Origin: {cors}")


async def _mcp_server(subject: Subject, http: Http, report: Report) -> None:
    headers = {**MCP_HEADERS, "origin": ORIGIN}
    answer = await http.send("POST", subject.url, headers=headers, json=INITIALIZE)
    if answer.status == _FORBIDDEN:
        return  # the server accepts only certain origins (MCP transports, DNS rebinding)
    _judge_preflight(await preflight(subject.url, "POST", _MCP, http), _MCP, "mcp-preflight", report)
    _judge_readable(answer, "challenge-readable", report)
    exposed = answer.headers.get("access-control-expose-headers", "").lower()
    listed = "www-authenticate" in exposed
    report.judge("challenge-readable", listed, f"Access-Control-Expose-Headers: {exposed or 'absent'}")


async def _metadata(http: Http, report: Report) -> None:
    for found in http.documents:
        _judge_readable(found, "metadata-cors", report)
        head = await http.send("HEAD", found.url)
        report.judge("metadata-head", head.status == found.status, head.seen)
        wanted = ("mcp-protocol-version",)
        _judge_preflight(await preflight(found.url, "GET", wanted, http), wanted, "metadata-cors", report)


async def preflight(url: str, method: str, headers: tuple[str, ...], http: Http) -> Answer:
    """Send what a browser sends before a request with `method` and these headers."""
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": method,
        "access-control-request-headers": ",".join(headers),
    }
    return await http.send("OPTIONS", url, headers=asked)


def _judge_preflight(answer: Answer, headers: tuple[str, ...], check: str, report: Report) -> None:
    if not report.judge(check, answer.status in _SUCCESS, answer.seen):
        return
    _judge_readable(answer, check, report)
    allowed = answer.headers.get("access-control-allow-headers", "").lower()
    names = {name.strip() for name in allowed.split(",")}
    if "*" in names:  # it does not cover Authorization
        names |= set(headers) - {"authorization"}
    missing = [name for name in headers if name not in names]
    report.judge(check, not missing, f"{answer.seen}, which does not allow {', '.join(missing)}")


def _judge_readable(answer: Answer, check: str, report: Report) -> None:
    allowed = answer.headers.get("access-control-allow-origin")
    report.judge(check, allowed in ("*", ORIGIN), f"{answer.seen} without Access-Control-Allow-Origin")
