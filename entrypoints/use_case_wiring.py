"""Which ports each use case gets."""

from dependency_injector import providers

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
from grantledger.application.history.as_of import ReadClientAsOf, ReadGrantAsOf
from grantledger.application.keys.master_secrets import (
    ActivateMasterSecret,
    AddMasterSecret,
    DescribeMasterSecrets,
    RetireMasterSecret,
)
from grantledger.application.keys.signing_keys import DescribeKeys, MakeSigningKeys, RotateSigningKey
from grantledger.application.tokens.describe_user import DescribeUser
from grantledger.application.tokens.issue_id_token import IssueIdToken
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.redeem_code import RedeemCode
from grantledger.application.tokens.refresh_grant import RefreshGrant
from grantledger.application.tokens.revoke import RevokeGrant, RevokeToken
from grantledger.entrypoints.adapter_wiring import Adapters

ledger, clock, randomness, policy = Adapters.ledger, Adapters.clock, Adapters.randomness, Adapters.policy


class UseCaseWiring(Adapters):
    """All use cases, and the parts that several of them share."""

    read_client_as_of = providers.Singleton(ReadClientAsOf, Adapters.past)
    read_grant_as_of = providers.Singleton(ReadGrantAsOf, Adapters.past)

    make_signing_keys = providers.Singleton(MakeSigningKeys, ledger, Adapters.key_maker, clock)
    rotate_signing_key = providers.Singleton(RotateSigningKey, ledger, Adapters.key_maker, clock, policy)
    describe_keys = providers.Singleton(DescribeKeys, ledger, clock)

    describe_master_secrets = providers.Singleton(
        DescribeMasterSecrets, Adapters.secret_keeper, Adapters.sealed_records, Adapters.issued_tokens, clock
    )
    add_master_secret = providers.Singleton(
        AddMasterSecret, ledger, Adapters.secret_keeper, describe_master_secrets, clock
    )
    activate_master_secret = providers.Singleton(
        ActivateMasterSecret, ledger, Adapters.secret_keeper, Adapters.sealed_records, clock
    )
    retire_master_secret = providers.Singleton(
        RetireMasterSecret, ledger, Adapters.secret_keeper, describe_master_secrets, clock
    )

    authenticate_client = providers.Singleton(AuthenticateClient, ledger, Adapters.client_secret_guesses)
    register_client = providers.Singleton(
        RegisterClient, ledger, clock, randomness, policy, Adapters.registration_limit
    )
    disable_client = providers.Singleton(DisableClient, ledger, clock)
    enable_client = providers.Singleton(EnableClient, ledger, clock)
    approve_client = providers.Singleton(ApproveClient, ledger, clock)
    withdraw_approval = providers.Singleton(WithdrawApproval, ledger, clock)
    delete_client = providers.Singleton(DeleteClient, ledger, clock)
    describe_server = providers.Singleton(DescribeServer, policy)
    open_account = providers.Singleton(OpenAccount, ledger, ledger, Adapters.hasher, clock, randomness)
    enable_user = providers.Singleton(EnableUser, ledger, clock)
    erase_password = providers.Singleton(ErasePassword, ledger, clock)
    set_password = providers.Singleton(SetPassword, ledger, Adapters.hasher, clock)
    disable_user = providers.Singleton(DisableUser, ledger, clock)
    admit_host_user = providers.Singleton(AdmitHostUser, ledger, ledger, clock, randomness)
    session_maker = providers.Singleton(
        BrowserSessionMaker, clock, randomness, lifetime=policy.provided.browser_session_lifetime
    )
    sign_in = providers.Singleton(
        SignIn, ledger, ledger, Adapters.hasher, session_maker, Adapters.password_guesses
    )
    sign_up = providers.Singleton(SignUp, open_account, Adapters.sign_up_limit)
    sign_out = providers.Singleton(SignOut, ledger, clock)
    sign_out_everywhere = providers.Singleton(SignOutEverywhere, ledger, clock)
    change_password = providers.Singleton(
        ChangePassword,
        ledger=ledger,
        private=ledger,
        hasher=Adapters.hasher,
        clock=clock,
        sessions=session_maker,
        guesses=Adapters.password_guesses,
    )
    find_browser_session = providers.Singleton(FindBrowserSession, ledger, clock)
    start_authorization = providers.Singleton(StartAuthorization, ledger, clock, randomness, policy)
    issue_code = providers.Singleton(IssueCode, ledger, ledger, clock, Adapters.codes, policy)
    resume_authorization = providers.Singleton(ResumeAuthorization, ledger, issue_code)
    give_consent = providers.Singleton(GiveConsent, ledger, issue_code)
    redeem_code = providers.Singleton(
        RedeemCode,
        ledger=ledger,
        authenticate=authenticate_client,
        sealer=Adapters.sealer,
        issue_id_token=providers.Singleton(IssueIdToken, Adapters.id_token_signer, policy),
        clock=clock,
        randomness=randomness,
        policy=policy,
    )
    refresh_grant = providers.Singleton(
        RefreshGrant,
        ledger=ledger,
        grants=ledger,
        authenticate=authenticate_client,
        sealer=Adapters.sealer,
        clock=clock,
        policy=policy,
    )
    list_connected_apps = providers.Singleton(ListConnectedApps, ledger, ledger, clock)
    disconnect_app = providers.Singleton(DisconnectApp, ledger, ledger, clock)
    disconnect_every_app = providers.Singleton(DisconnectEveryApp, ledger, disconnect_app)
    revoke_grant = providers.Singleton(RevokeGrant, ledger, clock)
    revoke_token = providers.Singleton(RevokeToken, ledger, authenticate_client, Adapters.sealer, clock)
    look_up_session = providers.Singleton(LookUpSession, ledger, Adapters.sealer, clock)
    describe_user = providers.Singleton(DescribeUser, look_up_session, ledger)
