"""All use cases over one ledger, wired as the container does it."""

from msgspec import Struct, field

from fakes.clock import FrozenClock
from fakes.codes import DigestedCodes
from fakes.id_token_signer import ReadableIdTokenSigner
from fakes.password_hasher import PlainPasswordHasher
from fakes.randomness import CountingRandomness
from grantledger.application.accounts.administer_accounts import (
    DisableUser,
    EnableUser,
    ErasePassword,
    SetPassword,
)
from grantledger.application.accounts.admit_host_user import AdmitHostUser
from grantledger.application.accounts.browser_sessions import (
    BrowserSessionMaker,
    FindBrowserSession,
    SignOut,
    SignOutEverywhere,
)
from grantledger.application.accounts.change_password import ChangePassword
from grantledger.application.accounts.open_account import OpenAccount, SignUp
from grantledger.application.accounts.sign_in import SignIn
from grantledger.application.authorization.give_consent import GiveConsent
from grantledger.application.authorization.issue_code import IssueCode
from grantledger.application.authorization.resume_authorization import ResumeAuthorization
from grantledger.application.authorization.start_authorization import StartAuthorization
from grantledger.application.clients.administer_clients import (
    ApproveClient,
    DeleteClient,
    DisableClient,
    EnableClient,
    WithdrawApproval,
)
from grantledger.application.clients.authenticate_client import AuthenticateClient
from grantledger.application.clients.register_client import RegisterClient
from grantledger.application.connected_apps.disconnect_app import DisconnectApp, DisconnectEveryApp
from grantledger.application.connected_apps.list_connected_apps import ListConnectedApps
from grantledger.application.describe_server import DescribeServer
from grantledger.application.policy import ServerPolicy
from grantledger.application.throttling import GuessLimit, RegistrationLimit
from grantledger.application.tokens.describe_user import DescribeUser
from grantledger.application.tokens.issue_id_token import IssueIdToken
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.redeem_code import RedeemCode
from grantledger.application.tokens.refresh_grant import RefreshGrant
from grantledger.application.tokens.revoke import RevokeGrant, RevokeToken
from support.policies import POLICY
from support.readable_sealer import ReadableSealer
from support.storage import Storage
from support.throttles import guess_limit, registration_limit


class Outside(Struct):
    """What is not the ledger: time, chance, secrets and passwords."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    randomness: CountingRandomness = field(default_factory=CountingRandomness)
    sealer: ReadableSealer = field(default_factory=ReadableSealer)
    id_token_signer: ReadableIdTokenSigner = field(default_factory=ReadableIdTokenSigner)
    hasher: PlainPasswordHasher = field(default_factory=PlainPasswordHasher)
    codes: DigestedCodes = field(default_factory=DigestedCodes)
    guesses: GuessLimit = field(default_factory=lambda: guess_limit(None, None, None))
    registrations: RegistrationLimit = field(default_factory=lambda: registration_limit(None, None))


class UseCases:
    """A second one over the same ledger and the same outside is the server after a restart."""

    def __init__(
        self, ledger: Storage, policy: ServerPolicy = POLICY, outside: Outside | None = None
    ) -> None:
        self.outside = outside = outside or Outside()
        self.ledger = ledger
        self.clock = clock = outside.clock
        self.sealer = sealer = outside.sealer
        self.hasher = hasher = outside.hasher
        randomness = outside.randomness
        self.authenticate = authenticate = AuthenticateClient(ledger, outside.guesses)
        self.register_client = RegisterClient(ledger, clock, randomness, policy, outside.registrations)
        self.disable_client = DisableClient(ledger, clock)
        self.enable_client = EnableClient(ledger, clock)
        self.approve_client = ApproveClient(ledger, clock)
        self.withdraw_approval = WithdrawApproval(ledger, clock)
        self.delete_client = DeleteClient(ledger, clock)
        self.open_account = OpenAccount(ledger, ledger, hasher, clock, randomness)
        self.enable_user = EnableUser(ledger, clock)
        self.erase_password = ErasePassword(ledger, clock)
        self.set_password = SetPassword(ledger, hasher, clock)
        self.disable_user = DisableUser(ledger, clock)
        self.admit_host_user = AdmitHostUser(ledger, ledger, clock, randomness)
        sessions = BrowserSessionMaker(clock, randomness, lifetime=policy.browser_session_lifetime)
        self.sign_in = SignIn(ledger, ledger, hasher, sessions, outside.guesses)
        self.sign_up = SignUp(self.open_account, outside.registrations)
        self.sign_out = SignOut(ledger, clock)
        self.sign_out_everywhere = SignOutEverywhere(ledger, clock)
        self.change_password = ChangePassword(
            ledger=ledger,
            private=ledger,
            hasher=hasher,
            clock=clock,
            sessions=sessions,
            guesses=outside.guesses,
        )
        self.find_browser_session = FindBrowserSession(ledger, clock)
        self.start_authorization = StartAuthorization(ledger, clock, randomness, policy)
        self.issue_code = IssueCode(ledger, ledger, clock, outside.codes, policy)
        self.resume_authorization = ResumeAuthorization(ledger, self.issue_code)
        self.give_consent = GiveConsent(ledger, self.issue_code)
        self.redeem_code = RedeemCode(
            ledger=ledger,
            authenticate=authenticate,
            sealer=sealer,
            issue_id_token=IssueIdToken(outside.id_token_signer, policy),
            clock=clock,
            randomness=randomness,
            policy=policy,
        )
        self.refresh_grant = RefreshGrant(
            ledger=ledger,
            grants=ledger,
            authenticate=authenticate,
            sealer=sealer,
            clock=clock,
            policy=policy,
        )
        self.revoke_grant = RevokeGrant(ledger, clock)
        self.list_connected_apps = ListConnectedApps(ledger, ledger, clock)
        self.disconnect_app = DisconnectApp(ledger, ledger, clock)
        self.disconnect_every_app = DisconnectEveryApp(ledger, self.disconnect_app)
        self.revoke_token = RevokeToken(ledger, authenticate, sealer, clock)
        self.look_up_session = LookUpSession(ledger, sealer, clock)
        self.describe_user = DescribeUser(self.look_up_session, ledger)
        self.describe_server = DescribeServer(policy)
