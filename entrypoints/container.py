"""The wiring: which adapter stands behind each port, and which ports each use case gets."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from dependency_injector import containers, providers

from grantledger.adapters.crypto.derived_codes import DerivedCodes
from grantledger.adapters.crypto.id_tokens import Es256KeyMaker, LedgerIdTokenSigner
from grantledger.adapters.crypto.keyed_digest import KeyedDigests
from grantledger.adapters.crypto.master_secret import MasterSecrets
from grantledger.adapters.crypto.sealed_box import SealedBox
from grantledger.adapters.crypto.token_sealer import DerivedTokens
from grantledger.adapters.crypto.vault import Vault
from grantledger.adapters.http.authorization_flow import AuthorizationFlow, SignInWays
from grantledger.adapters.http.authorization_response import AuthorizationResponses
from grantledger.adapters.http.browser_sessions import BrowserSessions, CookieSessions, HostSessions
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.cookies import PageCookies
from grantledger.adapters.http.form_tokens import FormTokens
from grantledger.adapters.http.host_identity import HostIdentity
from grantledger.adapters.http.page_errors import PageErrors
from grantledger.adapters.http.pages.render import Pages
from grantledger.adapters.http.parked_requests import ParkedRequests
from grantledger.adapters.http.submissions import Submissions
from grantledger.adapters.http.visits import Visits
from grantledger.adapters.identity.argon2_hasher import Argon2Hasher
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.past import SqlitePast
from grantledger.adapters.ledger.resealing import Resealing
from grantledger.adapters.ledger.secret_use import SecretUse
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.adapters.system import SystemClock, SystemRandomness
from grantledger.adapters.throttles import RecentPlaces, throttle_of
from grantledger.adapters.web.mcp_session import GetMcpSession
from grantledger.application.activate_master_secret import ActivateMasterSecret
from grantledger.application.add_master_secret import AddMasterSecret
from grantledger.application.admit_host_user import AdmitHostUser
from grantledger.application.approve_client import ApproveClient
from grantledger.application.authenticate_client import AuthenticateClient
from grantledger.application.change_password import ChangePassword
from grantledger.application.delete_client import DeleteClient
from grantledger.application.describe_keys import DescribeKeys
from grantledger.application.describe_master_secrets import DescribeMasterSecrets
from grantledger.application.describe_server import DescribeServer
from grantledger.application.describe_user import DescribeUser
from grantledger.application.disable_client import DisableClient
from grantledger.application.disable_user import DisableUser
from grantledger.application.disconnect_app import DisconnectApp
from grantledger.application.disconnect_every_app import DisconnectEveryApp
from grantledger.application.enable_client import EnableClient
from grantledger.application.enable_user import EnableUser
from grantledger.application.erase_password import ErasePassword
from grantledger.application.find_browser_session import FindBrowserSession
from grantledger.application.give_consent import GiveConsent
from grantledger.application.guess_limit import GuessLimit
from grantledger.application.issue_code import IssueCode
from grantledger.application.issue_id_token import IssueIdToken
from grantledger.application.list_connected_apps import ListConnectedApps
from grantledger.application.look_up_session import LookUpSession
from grantledger.application.make_signing_keys import MakeSigningKeys
from grantledger.application.open_account import OpenAccount
from grantledger.application.open_session import OpenSession
from grantledger.application.policy import ServerPolicy
from grantledger.application.read_client_as_of import ReadClientAsOf
from grantledger.application.read_grant_as_of import ReadGrantAsOf
from grantledger.application.redeem_code import RedeemCode
from grantledger.application.refresh_grant import RefreshGrant
from grantledger.application.register_client import RegisterClient
from grantledger.application.registration_limit import RegistrationLimit
from grantledger.application.resume_authorization import ResumeAuthorization
from grantledger.application.retire_master_secret import RetireMasterSecret
from grantledger.application.revoke_grant import RevokeGrant
from grantledger.application.revoke_token import RevokeToken
from grantledger.application.rotate_signing_key import RotateSigningKey
from grantledger.application.set_password import SetPassword
from grantledger.application.sign_in import SignIn
from grantledger.application.sign_out import SignOut
from grantledger.application.sign_out_everywhere import SignOutEverywhere
from grantledger.application.sign_up import SignUp
from grantledger.application.start_authorization import StartAuthorization
from grantledger.application.withdraw_approval import WithdrawApproval
from grantledger.domain.rate import Rate
from grantledger.entrypoints.master_secret import obtain_master_secrets, secret_keeper
from grantledger.entrypoints.settings import IN_MEMORY, Settings, SettingsInvalid
from grantledger.entrypoints.settings_rules import parsed_rate


def _address_digest(digests: KeyedDigests) -> Callable[[str], bytes]:
    return lambda address: digests.raw_digests("caller address", address)[0]


def _wide(rate: Rate | None) -> Rate | None:
    return None if rate is None else Rate(rate.count * 10, rate.period)


def _guess_limit(attempts: str, *, per_place: bool) -> GuessLimit:
    rate = parsed_rate(attempts)
    wide = _wide(rate)
    return GuessLimit(
        here=throttle_of(rate),
        per_place=throttle_of(wide if per_place else None),
        per_subject=throttle_of(wide),
        proven=RecentPlaces(),
    )


def _sign_up_limit(settings: Settings) -> RegistrationLimit:
    rate = parsed_rate(settings.sign_in_attempts)
    return RegistrationLimit(total=throttle_of(_wide(rate)), per_place=throttle_of(rate))


def _registration_limit(settings: Settings) -> RegistrationLimit:
    return RegistrationLimit(
        total=throttle_of(parsed_rate(settings.registrations)),
        per_place=throttle_of(parsed_rate(settings.registrations_per_address)),
    )


def _database(settings: Settings) -> Database:
    if settings.database != IN_MEMORY:
        return Database(settings.database)
    # Writer and readers are connections of their own, which an in-memory database cannot be shared by.
    directory = tempfile.mkdtemp(prefix="grantledger-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Database(Path(directory) / "grantledger.sqlite3")


def _policy(settings: Settings) -> ServerPolicy:
    return settings.policy


def _sessions(
    host_identity: HostIdentity | None, cookies: CookieSessions, admit: AdmitHostUser, caller_of: CallerReader
) -> BrowserSessions:
    return cookies if host_identity is None else HostSessions(host_identity, admit, caller_of)


class Container(containers.DeclarativeContainer):
    """One of each, made when it is first asked for. `Container(settings=...)`."""

    settings = providers.Dependency(instance_of=Settings)
    policy = providers.Singleton(_policy, settings)

    master_secrets: providers.Singleton[MasterSecrets] = providers.Singleton(obtain_master_secrets, settings)
    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness)
    hasher = providers.Singleton(Argon2Hasher)
    sealer = providers.Singleton(DerivedTokens, master_secrets, settings.provided.realm)
    digests = providers.Singleton(KeyedDigests, master_secrets, settings.provided.realm)
    codes = providers.Singleton(DerivedCodes, digests)
    sealed_box = providers.Singleton(SealedBox, master_secrets, settings.provided.realm)
    vault = providers.Singleton(Vault, master_secrets, settings.provided.realm)
    database = providers.Singleton(_database, settings)
    sealed_records = providers.Singleton(Resealing, database, vault, settings.provided.realm)
    issued_tokens = providers.Singleton(
        SecretUse, database, providers.Singleton(TagMapper), settings.provided.realm
    )
    ledger = providers.Singleton(
        SqliteLedger,
        database,
        sealer=vault,
        address_digest=providers.Singleton(_address_digest, digests),
        realm=settings.provided.realm,
    )

    past = providers.Singleton(SqlitePast, database, providers.Singleton(TagMapper), settings.provided.realm)
    read_client_as_of = providers.Singleton(ReadClientAsOf, past)
    read_grant_as_of = providers.Singleton(ReadGrantAsOf, past)

    password_guesses = providers.Singleton(_guess_limit, settings.provided.sign_in_attempts, per_place=True)
    # Several clients share the addresses of a platform: a place of one of them is no place of the others.
    client_secret_guesses = providers.Singleton(
        _guess_limit, settings.provided.client_secret_attempts, per_place=False
    )
    sign_up_limit = providers.Singleton(_sign_up_limit, settings)
    registration_limit = providers.Singleton(_registration_limit, settings)

    key_maker = providers.Singleton(Es256KeyMaker)
    id_token_signer = providers.Singleton(LedgerIdTokenSigner, ledger, ledger)
    make_signing_keys = providers.Singleton(MakeSigningKeys, ledger, key_maker, clock)
    rotate_signing_key = providers.Singleton(RotateSigningKey, ledger, key_maker, clock, policy)
    describe_keys = providers.Singleton(DescribeKeys, ledger, clock)

    secret_keeper = providers.Singleton(secret_keeper, settings, master_secrets)
    describe_master_secrets = providers.Singleton(
        DescribeMasterSecrets, secret_keeper, sealed_records, issued_tokens, clock
    )
    add_master_secret = providers.Singleton(
        AddMasterSecret, ledger, secret_keeper, describe_master_secrets, clock
    )
    activate_master_secret = providers.Singleton(
        ActivateMasterSecret, ledger, secret_keeper, sealed_records, clock
    )
    retire_master_secret = providers.Singleton(
        RetireMasterSecret, ledger, secret_keeper, describe_master_secrets, clock
    )

    authenticate_client = providers.Singleton(AuthenticateClient, ledger, client_secret_guesses)
    register_client = providers.Singleton(
        RegisterClient, ledger, clock, randomness, policy, registration_limit
    )
    disable_client = providers.Singleton(DisableClient, ledger, clock)
    enable_client = providers.Singleton(EnableClient, ledger, clock)
    approve_client = providers.Singleton(ApproveClient, ledger, clock)
    withdraw_approval = providers.Singleton(WithdrawApproval, ledger, clock)
    delete_client = providers.Singleton(DeleteClient, ledger, clock)
    describe_server = providers.Singleton(DescribeServer, policy)
    open_account = providers.Singleton(OpenAccount, ledger, ledger, hasher, clock, randomness)
    enable_user = providers.Singleton(EnableUser, ledger, clock)
    erase_password = providers.Singleton(ErasePassword, ledger, clock)
    set_password = providers.Singleton(SetPassword, ledger, hasher, clock)
    disable_user = providers.Singleton(DisableUser, ledger, clock)
    admit_host_user = providers.Singleton(AdmitHostUser, ledger, ledger, clock, randomness)
    open_session = providers.Singleton(
        OpenSession, clock, randomness, lifetime=policy.provided.browser_session_lifetime
    )
    sign_in = providers.Singleton(SignIn, ledger, ledger, hasher, open_session, password_guesses)
    sign_up = providers.Singleton(SignUp, open_account, sign_up_limit)
    sign_out = providers.Singleton(SignOut, ledger, clock)
    sign_out_everywhere = providers.Singleton(SignOutEverywhere, ledger, clock)
    change_password = providers.Singleton(
        ChangePassword,
        ledger=ledger,
        private=ledger,
        hasher=hasher,
        clock=clock,
        open_session=open_session,
        guesses=password_guesses,
    )
    find_browser_session = providers.Singleton(FindBrowserSession, ledger, clock)
    start_authorization = providers.Singleton(StartAuthorization, ledger, clock, randomness, policy)
    issue_code = providers.Singleton(IssueCode, ledger, ledger, clock, codes, policy)
    resume_authorization = providers.Singleton(ResumeAuthorization, ledger, issue_code)
    give_consent = providers.Singleton(GiveConsent, ledger, issue_code)
    redeem_code = providers.Singleton(
        RedeemCode,
        ledger=ledger,
        authenticate=authenticate_client,
        sealer=sealer,
        issue_id_token=providers.Singleton(IssueIdToken, id_token_signer, policy),
        clock=clock,
        randomness=randomness,
        policy=policy,
    )
    refresh_grant = providers.Singleton(
        RefreshGrant,
        ledger=ledger,
        grants=ledger,
        authenticate=authenticate_client,
        sealer=sealer,
        clock=clock,
        policy=policy,
    )
    list_connected_apps = providers.Singleton(ListConnectedApps, ledger, ledger, clock)
    disconnect_app = providers.Singleton(DisconnectApp, ledger, ledger, clock)
    disconnect_every_app = providers.Singleton(DisconnectEveryApp, ledger, disconnect_app)
    revoke_grant = providers.Singleton(RevokeGrant, ledger, clock)
    revoke_token = providers.Singleton(RevokeToken, ledger, authenticate_client, sealer, clock)
    look_up_session = providers.Singleton(LookUpSession, ledger, sealer, clock)
    describe_user = providers.Singleton(DescribeUser, look_up_session, ledger)
    get_mcp_session = providers.Singleton(GetMcpSession, look_up_session)

    caller_of = providers.Singleton(CallerReader, settings.provided.trusted_networks)
    cookies = providers.Singleton(PageCookies, policy.provided.issuer)
    form_tokens = providers.Singleton(FormTokens, digests)
    pages = providers.Singleton(Pages)
    responses = providers.Singleton(AuthorizationResponses, policy.provided.issuer)
    parked = providers.Singleton(ParkedRequests, sealed_box, cookies, clock)
    visits = providers.Singleton(Visits, settings.provided.base_path, parked, cookies, randomness)
    host_identity: providers.Object[HostIdentity | None] = providers.Object(None)
    sessions: providers.Singleton[BrowserSessions] = providers.Singleton(
        _sessions,
        host_identity,
        providers.Singleton(CookieSessions, find_browser_session, ledger, cookies),
        admit_host_user,
        caller_of,
    )
    submissions = providers.Singleton(Submissions, visits, sessions, form_tokens)
    flow = providers.Singleton(
        AuthorizationFlow,
        resume=resume_authorization,
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
