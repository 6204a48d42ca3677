"""The wiring of a server: adapters, use cases, and here the HTTP layer over them."""

from dependency_injector import providers

from grantledger.adapters.embedding.host_identity import HostIdentity
from grantledger.adapters.guards.session import GetMcpSession
from grantledger.adapters.http.application import HttpLayer, HttpParts
from grantledger.adapters.http.pages.flow import SignInWays
from grantledger.application.use_cases import UseCases
from grantledger.entrypoints.settings import Settings, SettingsInvalid
from grantledger.entrypoints.use_case_wiring import UseCaseWiring

settings, policy = UseCaseWiring.settings, UseCaseWiring.policy


class Container(UseCaseWiring):
    """One of each, made when it is first asked for. `Container(settings=...)`."""

    get_mcp_session = providers.Singleton(GetMcpSession, UseCaseWiring.look_up_session)
    use_cases = providers.Singleton(
        UseCases, **{name: getattr(UseCaseWiring, name) for name in UseCases.__struct_fields__}
    )
    host_identity: providers.Object[HostIdentity | None] = providers.Object(None)
    http = providers.Singleton(
        HttpLayer,
        providers.Singleton(
            HttpParts,
            use_cases=use_cases,
            policy=policy,
            sign_in_ways=providers.Singleton(
                SignInWays,
                login_page=settings.provided.login_page,
                logout_page=settings.provided.logout_page,
                sign_up=settings.provided.sign_up,
            ),
            trusted_proxies=settings.provided.trusted_networks,
            clock=UseCaseWiring.clock,
            randomness=UseCaseWiring.randomness,
            private_records=UseCaseWiring.ledger,
            digests=UseCaseWiring.digests,
            sealed_box=UseCaseWiring.sealed_box,
            host_identity=host_identity,
        ),
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
