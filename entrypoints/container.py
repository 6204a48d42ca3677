"""The wiring of a server: adapters, use cases, and here the pages that people see."""

from dependency_injector import providers

from grantledger.adapters.embedding.host_identity import HostIdentity
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.oauth.authorization_response import AuthorizationResponses
from grantledger.adapters.http.pages.browser import FormTokens, PageCookies, ParkedRequests, Visits
from grantledger.adapters.http.pages.errors import PageErrors
from grantledger.adapters.http.pages.flow import AuthorizationFlow, SignInWays
from grantledger.adapters.http.pages.rendering import Pages
from grantledger.adapters.http.pages.sessions import BrowserSessions, CookieSessions, HostSessions
from grantledger.adapters.http.pages.submissions import Submissions
from grantledger.application.accounts.admit_host_user import AdmitHostUser
from grantledger.entrypoints.settings import Settings, SettingsInvalid
from grantledger.entrypoints.use_case_wiring import UseCaseWiring

settings, policy = UseCaseWiring.settings, UseCaseWiring.policy


def _sessions(
    host_identity: HostIdentity | None, cookies: CookieSessions, admit: AdmitHostUser, caller_of: CallerReader
) -> BrowserSessions:
    return cookies if host_identity is None else HostSessions(host_identity, admit, caller_of)


class Container(UseCaseWiring):
    """One of each, made when it is first asked for. `Container(settings=...)`."""

    caller_of = providers.Singleton(CallerReader, settings.provided.trusted_networks)
    cookies = providers.Singleton(PageCookies, policy.provided.issuer)
    form_tokens = providers.Singleton(FormTokens, UseCaseWiring.digests)
    pages = providers.Singleton(Pages)
    responses = providers.Singleton(AuthorizationResponses, policy.provided.issuer)
    parked = providers.Singleton(ParkedRequests, UseCaseWiring.sealed_box, cookies, UseCaseWiring.clock)
    visits = providers.Singleton(
        Visits, settings.provided.base_path, parked, cookies, UseCaseWiring.randomness
    )
    host_identity: providers.Object[HostIdentity | None] = providers.Object(None)
    sessions: providers.Singleton[BrowserSessions] = providers.Singleton(
        _sessions,
        host_identity,
        providers.Singleton(
            CookieSessions, UseCaseWiring.find_browser_session, UseCaseWiring.ledger, cookies
        ),
        UseCaseWiring.admit_host_user,
        caller_of,
    )
    submissions = providers.Singleton(Submissions, visits, sessions, form_tokens)
    flow = providers.Singleton(
        AuthorizationFlow,
        resume=UseCaseWiring.resume_authorization,
        sessions=sessions,
        policy=policy,
        base_path=settings.provided.base_path,
        ways=providers.Singleton(
            SignInWays,
            login_page=settings.provided.login_page,
            logout_page=settings.provided.logout_page,
            sign_up=settings.provided.sign_up,
        ),
        pages=pages,
        responses=responses,
        parked=parked,
        visits=visits,
        cookies=cookies,
        form_tokens=form_tokens,
        caller_of=caller_of,
    )
    page_errors = providers.Singleton(
        PageErrors,
        base_path=settings.provided.base_path,
        pages=pages,
        responses=responses,
        visits=visits,
        caller_of=caller_of,
    )


def check_identity(settings: Settings, host_identity: HostIdentity | None) -> None:
    """Raise `SettingsInvalid` unless somebody can tell who is signed in, at the page where they sign in."""
    if host_identity is not None and settings.login_page is None:
        raise SettingsInvalid("login_page", "is missing: say where the host application signs its users in")
    if host_identity is None and settings.login_page is not None:
        raise SettingsInvalid(
            "login_page",
            "needs a host application that tells who is signed in: embed the server with "
            "AuthorizationServer(host_identity=...), or leave login_page out to use the built-in page",
        )


def build_container(settings: Settings, host_identity: HostIdentity | None = None) -> Container:
    """Return the wiring of a server with these settings. Nothing is opened before it is asked for.

    With a `host_identity` the users are the host application's, who sign in at `login_page`. Raises
    `SettingsInvalid` where one of the two is not there. Commands on the ledger serve no pages and use
    `Container(settings=...)`, which works for the ledger of either.
    """
    check_identity(settings, host_identity)
    return Container(settings=settings, host_identity=providers.Object(host_identity))
