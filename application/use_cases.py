"""All use cases of one server, and the ports that they need."""

from typing import Protocol

from msgspec import Struct

from grantledger.application.accounts.administer_accounts import (
    DisableUser,
    EnableUser,
    ErasePassword,
    GrantRole,
    RevokeRole,
    SetName,
    SetPassword,
)
from grantledger.application.accounts.admit_host_user import AdmitHostUser, SignInHostUser
from grantledger.application.accounts.browser_sessions import (
    BrowserSessionMaker,
    FindBrowserSession,
    SignOut,
    SignOutEverywhere,
)
from grantledger.application.accounts.change_password import ChangePassword
from grantledger.application.accounts.failed_sign_ins import FailedSignIns
from grantledger.application.accounts.open_account import OpenAccount, SignUp
from grantledger.application.accounts.password_rules import PasswordRules
from grantledger.application.accounts.sign_in import SignIn
from grantledger.application.authorization.give_consent import GiveConsent
from grantledger.application.authorization.issue_code import IssueCode
from grantledger.application.authorization.resume_authorization import ResumeAuthorization
from grantledger.application.authorization.start_authorization import StartAuthorization
from grantledger.application.clients.add_client import AddClient
from grantledger.application.clients.administer_clients import (
    ApproveClient,
    DeleteClient,
    DisableClient,
    EnableClient,
    LimitAccessTokens,
    RotateClientSecret,
    WithdrawApproval,
)
from grantledger.application.clients.authenticate_client import AuthenticateClient
from grantledger.application.clients.prune_clients import PruneClients
from grantledger.application.clients.register_client import RegisterClient
from grantledger.application.clients.registration_tokens import (
    AddRegistrationToken,
    RevokeRegistrationToken,
)
from grantledger.application.connected_apps.disconnect_app import DisconnectApp, DisconnectEveryApp
from grantledger.application.connected_apps.list_connected_apps import ListConnectedApps
from grantledger.application.describe_server import DescribeServer
from grantledger.application.history.as_of import ReadClientAsOf, ReadGrantAsOf, ReadUserAsOf
from grantledger.application.keys.master_secrets import (
    ActivateMasterSecret,
    AddMasterSecret,
    DescribeMasterSecrets,
    IssuedTokens,
    RetireMasterSecret,
    SealedRecords,
    SecretKeeper,
)
from grantledger.application.keys.signing_keys import DescribeKeys, MakeSigningKeys, RotateSigningKey
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import (
    AccessTokenSigner,
    Clock,
    CodeSealer,
    CommonPasswords,
    DecisionReader,
    IdTokenSigner,
    Ledger,
    Listings,
    NetworkDigests,
    PasswordHasher,
    PastReader,
    PrivateRecords,
    Randomness,
    SigningKeyMaker,
    TokenSealer,
)
from grantledger.application.resources.administer_resources import (
    AddResource,
    RemoveResource,
    RotateResourceSecret,
)
from grantledger.application.resources.authenticate_resource import AuthenticateResource
from grantledger.application.resources.catalogue import Catalogue
from grantledger.application.throttling import ActionLimit, GuessLimit, RegistrationLimit
from grantledger.application.tokens.current_tokens import CurrentTokens
from grantledger.application.tokens.describe_user import DescribeUser
from grantledger.application.tokens.find_token import FindToken
from grantledger.application.tokens.introspect_token import IntrospectToken
from grantledger.application.tokens.issue_id_token import IssueIdToken
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.personal_claims import PersonalClaimsReader
from grantledger.application.tokens.redeem_code import RedeemCode
from grantledger.application.tokens.refresh_grant import RefreshGrant
from grantledger.application.tokens.revoke import RevokeGrant, RevokeToken


class Storage(Ledger, DecisionReader, Listings, PrivateRecords, Protocol):
    """Everything that the use cases store."""


class Ports(Struct, frozen=True, kw_only=True):
    """Everything that the use cases need from outside."""

    ledger: Storage
    past: PastReader
    clock: Clock
    randomness: Randomness
    hasher: PasswordHasher
    common_passwords: CommonPasswords
    tokens: TokenSealer
    codes: CodeSealer
    network_digests: NetworkDigests
    id_tokens: IdTokenSigner
    access_tokens: AccessTokenSigner
    key_maker: SigningKeyMaker
    secret_keeper: SecretKeeper
    sealed_records: SealedRecords
    issued_tokens: IssuedTokens
    password_guesses: GuessLimit
    client_secret_guesses: GuessLimit
    registrations: RegistrationLimit
    sign_ups: RegistrationLimit
    refreshes: ActionLimit
    issued_codes: ActionLimit
    sign_ins: ActionLimit


class UseCases:
    """Every use case. The signature and docstring of its class say what it takes, returns and raises.

    Most are called as `await use_cases.name(...)`; `describe_server` and `failed_sign_ins` have methods.
    """

    def __init__(self, ports: Ports, policy: ServerPolicy) -> None:
        ledger, clock, randomness, hasher = ports.ledger, ports.clock, ports.randomness, ports.hasher
        self.catalogue = catalogue = Catalogue(ledger, clock, policy)
        sessions = BrowserSessionMaker(
            clock, randomness, lifetime=policy.browser_session_lifetime, limit=ports.sign_ins
        )
        issue_code = IssueCode(
            ledger=ledger,
            facts=ledger,
            clock=clock,
            codes=ports.codes,
            policy=policy,
            catalogue=catalogue,
            limit=ports.issued_codes,
        )

        self.describe_server = DescribeServer(policy)

        self.start_authorization = StartAuthorization(ledger, clock, randomness, policy, catalogue)
        self.resume_authorization = ResumeAuthorization(ledger, issue_code, clock, policy, catalogue)
        self.give_consent = GiveConsent(ledger, issue_code)

        self.register_client = RegisterClient(ledger, clock, randomness, policy, ports.registrations)
        self.authenticate_client = AuthenticateClient(ledger, ports.client_secret_guesses, clock)
        self.disable_client, self.enable_client = DisableClient(ledger, clock), EnableClient(ledger, clock)
        self.approve_client = ApproveClient(ledger, clock)
        self.withdraw_approval = WithdrawApproval(ledger, clock)
        self.delete_client = DeleteClient(ledger, clock)
        self.limit_access_tokens = LimitAccessTokens(ledger, clock)
        self.rotate_client_secret = RotateClientSecret(ledger, clock, randomness)
        self.prune_clients = PruneClients(ledger, ledger, clock, policy)
        self.add_registration_token = AddRegistrationToken(ledger, clock, randomness)
        self.revoke_registration_token = RevokeRegistrationToken(ledger, clock)

        current_tokens = CurrentTokens(ports.tokens, ports.access_tokens, policy)
        find_token = FindToken(ledger, ports.tokens, ports.access_tokens)
        personal_claims = PersonalClaimsReader(ledger)
        self.redeem_code = RedeemCode(
            ledger=ledger,
            facts=ledger,
            codes=ports.codes,
            authenticate=self.authenticate_client,
            sealer=ports.tokens,
            signer=ports.access_tokens,
            current_tokens=current_tokens,
            issue_id_token=IssueIdToken(ports.id_tokens, personal_claims, policy),
            clock=clock,
            randomness=randomness,
            policy=policy,
            catalogue=catalogue,
        )
        self.refresh_grant = RefreshGrant(
            ledger=ledger,
            facts=ledger,
            authenticate=self.authenticate_client,
            sealer=ports.tokens,
            signer=ports.access_tokens,
            current_tokens=current_tokens,
            network_digests=ports.network_digests,
            clock=clock,
            policy=policy,
            catalogue=catalogue,
            limit=ports.refreshes,
        )
        self.revoke_grant = RevokeGrant(ledger, clock)
        self.revoke_token = RevokeToken(ledger, find_token, self.authenticate_client, clock)
        self.look_up_session = LookUpSession(
            find_token=find_token,
            personal_claims=personal_claims,
            clock=clock,
            policy=policy,
            catalogue=catalogue,
        )
        self.describe_user = DescribeUser(self.look_up_session)

        self.authenticate_resource = AuthenticateResource(ledger, ports.client_secret_guesses, clock)
        self.introspect_token = IntrospectToken(
            self.look_up_session, self.authenticate_client, self.authenticate_resource
        )

        rules = PasswordRules(ports.common_passwords)
        self.open_account = OpenAccount(
            ledger=ledger, private=ledger, hasher=hasher, rules=rules, clock=clock, randomness=randomness
        )
        self.sign_up = SignUp(self.open_account, ports.sign_ups)
        self.failed_sign_ins = FailedSignIns(ledger, clock)
        self.sign_in = SignIn(
            ledger=ledger,
            private=ledger,
            hasher=hasher,
            sessions=sessions,
            guesses=ports.password_guesses,
            failed=self.failed_sign_ins,
        )
        self.sign_out = SignOut(ledger, clock)
        self.sign_out_everywhere = SignOutEverywhere(ledger, clock)
        self.find_browser_session = FindBrowserSession(ledger, clock)
        self.change_password = ChangePassword(
            ledger=ledger,
            private=ledger,
            hasher=hasher,
            rules=rules,
            clock=clock,
            sessions=sessions,
            guesses=ports.password_guesses,
        )
        self.admit_host_user = AdmitHostUser(ledger, ledger, clock, randomness)
        self.sign_in_host_user = SignInHostUser(ledger, self.admit_host_user, sessions)
        self.disable_user = DisableUser(ledger, clock)
        self.enable_user = EnableUser(ledger, clock)
        self.set_name = SetName(ledger, clock)

        self.list_connected_apps = ListConnectedApps(ledger, clock)
        self.disconnect_app = DisconnectApp(ledger, ledger, clock)
        self.disconnect_every_app = DisconnectEveryApp(ledger, self.disconnect_app)
        self.set_password = SetPassword(
            ledger=ledger,
            private=ledger,
            hasher=hasher,
            rules=rules,
            clock=clock,
            disconnect_every=self.disconnect_every_app,
        )
        self.erase_password = ErasePassword(ledger, clock, self.disconnect_every_app)

        self._administer(ports, policy)

    def _administer(self, ports: Ports, policy: ServerPolicy) -> None:
        """Add the use cases of operators for roles, resources, keys, secrets and the past."""
        ledger, clock, randomness = ports.ledger, ports.clock, ports.randomness
        self.grant_role = GrantRole(ledger, clock, policy)
        self.revoke_role = RevokeRole(ledger, clock, policy)
        self.make_signing_keys = MakeSigningKeys(ledger, ports.key_maker, clock)
        self.add_client = AddClient(ledger, clock, randomness, policy)
        self.add_resource = AddResource(
            ledger=ledger,
            clock=clock,
            randomness=randomness,
            policy=policy,
            catalogue=self.catalogue,
            make_signing_keys=self.make_signing_keys,
        )
        self.rotate_resource_secret = RotateResourceSecret(ledger, clock, randomness)
        self.remove_resource = RemoveResource(ledger, clock, self.catalogue)

        self.rotate_signing_key = RotateSigningKey(ledger, ports.key_maker, clock, policy)
        self.describe_keys = DescribeKeys(ledger, clock)

        keeper, records = ports.secret_keeper, ports.sealed_records
        self.describe_master_secrets = DescribeMasterSecrets(keeper, records, ports.issued_tokens, clock)
        self.add_master_secret = AddMasterSecret(ledger, keeper, self.describe_master_secrets, clock)
        self.activate_master_secret = ActivateMasterSecret(ledger, keeper, records, clock)
        self.retire_master_secret = RetireMasterSecret(ledger, keeper, self.describe_master_secrets, clock)

        self.read_client_as_of = ReadClientAsOf(ports.past)
        self.read_grant_as_of = ReadGrantAsOf(ports.past)
        self.read_user_as_of = ReadUserAsOf(ports.past)
