"""The whole examination, in the order in which a client sends its requests."""

from grantledger.adapters.doctor.browser_clients import examine_for_browsers
from grantledger.adapters.doctor.challenge import examine_challenge, first_message
from grantledger.adapters.doctor.clients import walk_as_each
from grantledger.adapters.doctor.discovery import find_resource, find_server
from grantledger.adapters.doctor.endpoints import examine_endpoints
from grantledger.adapters.doctor.http import Answer, Http, RequestLimitReached
from grantledger.adapters.doctor.registration import Registrations
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.sign_in import Authorizations, Callback, OpenBrowser, SignInTimedOut
from grantledger.adapters.doctor.subject import SERVER_URLS, Challenge, Subject, covers
from grantledger.adapters.doctor.tokens import Tokens
from grantledger.adapters.guards.discovery_paths import origin_of


class Unreachable(Exception):  # noqa: N818 - named for the fact
    """Nothing answers at the URL."""


async def examine(url: str, http: Http, open_browser: OpenBrowser | None = None) -> Report:
    """Examine the MCP server or the issuer at `url`. Raises `Unreachable`.

    Without `open_browser` no request creates or changes anything at the servers. With it, clients register
    and a user signs in; what was created is revoked at the end.
    """
    report = Report(url)
    http.examines(url)
    first = await first_message(url, http)
    if not first.status:
        raise Unreachable(first.seen)
    try:
        subject = Subject(url=url, challenge=Challenge.of(first))
        await _examine(subject, first, http, report)
        if open_browser is not None:
            await _examine_active(subject, open_browser, http, report)
    except (SignInTimedOut, RequestLimitReached) as early:
        report.unfinished = str(early)
    return report


async def _examine(subject: Subject, first: Answer, http: Http, report: Report) -> None:
    if not subject.challenge.is_bearer and await _is_issuer(subject.url, http):
        subject.is_issuer, subject.issuer = True, subject.url
    else:
        await examine_challenge(first, subject, http, report)
        await find_resource(subject, http, report)
        subject.issuer = subject.issuer or origin_of(subject.url)  # as clients of MCP 2025-03-26 do
    report.issuer = subject.issuer
    await find_server(subject, http, report)
    await walk_as_each(subject, http, report)
    await examine_for_browsers(subject, http, report)
    await examine_endpoints(subject, http, report)


async def _examine_active(subject: Subject, open_browser: OpenBrowser, http: Http, report: Report) -> None:
    if not subject.endpoint("registration_endpoint"):
        report.unfinished = "the server has no registration endpoint, which --active needs"
        return
    if impostor := _impostor(subject):
        report.unfinished = impostor
        return
    registrations = Registrations(subject, http, report)
    async with Callback() as callback, Callback() as other_port:
        try:
            client_id = await registrations.examine(callback.redirect_uri)
            if client_id is None or not all(
                map(subject.endpoint, ("authorization_endpoint", "token_endpoint"))
            ):
                return
            authorizations = Authorizations(
                subject,
                http,
                report,
                client_id=client_id,
                callback=callback,
                other_port=other_port,
                open_browser=open_browser,
            )
            if not await authorizations.examine():
                return
            tokens = Tokens(subject, authorizations, http, report)
            try:
                await tokens.examine()
            finally:
                http.allow_cleaning()
                await tokens.remove()
        finally:
            http.allow_cleaning()
            await registrations.remove()


def _impostor(subject: Subject) -> str:
    """Return the reason if the metadata names another resource or issuer than the examined one, else "".

    Clients must refuse such metadata (RFC 9728 section 3.3, RFC 8414 section 3.3). Otherwise the examined
    server could collect the user's token for another server, or the code of another issuer.
    """
    if not subject.is_issuer and not covers(subject.named_resource, subject.url):
        return f"no sign-in, since the resource {subject.named_resource!r} does not cover {subject.url}"
    issuer = subject.server.get("issuer")
    if issuer != subject.issuer:
        return f"no sign-in, since the metadata of {subject.issuer!r} is of the issuer {issuer!r}"
    return ""


async def _is_issuer(url: str, http: Http) -> bool:
    for metadata_url in [probe(url) for probe in SERVER_URLS]:
        document = (await http.get(metadata_url)).json
        if document is not None and str(document.get("issuer")).rstrip("/") == url.rstrip("/"):
            return True
    return False
