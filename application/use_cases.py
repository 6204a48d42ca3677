"""All use cases of one server, for programs that call them without HTTP."""

from msgspec import Struct

from grantledger.application.accounts.administer_accounts import (
    DisableUser,
    EnableUser,
    ErasePassword,
    SetPassword,
)
from grantledger.application.accounts.admit_host_user import AdmitHostUser
from grantledger.application.accounts.browser_sessions import FindBrowserSession, SignOut, SignOutEverywhere
from grantledger.application.accounts.change_password import ChangePassword
from grantledger.application.accounts.open_account import OpenAccount, SignUp
from grantledger.application.accounts.sign_in import SignIn
from grantledger.application.authorization.give_consent import GiveConsent
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
from grantledger.application.keys.signing_keys import DescribeKeys, RotateSigningKey
from grantledger.application.tokens.describe_user import DescribeUser
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.redeem_code import RedeemCode
from grantledger.application.tokens.refresh_grant import RefreshGrant
from grantledger.application.tokens.revoke import RevokeGrant, RevokeToken


class UseCases(Struct, frozen=True, kw_only=True):
    """Each is called as `await use_cases.name(...)`; its class says what it takes, returns and raises."""

    activate_master_secret: ActivateMasterSecret
    add_master_secret: AddMasterSecret
    admit_host_user: AdmitHostUser
    approve_client: ApproveClient
    authenticate_client: AuthenticateClient
    change_password: ChangePassword
    delete_client: DeleteClient
    describe_keys: DescribeKeys
    describe_master_secrets: DescribeMasterSecrets
    describe_server: DescribeServer
    describe_user: DescribeUser
    disable_client: DisableClient
    disable_user: DisableUser
    disconnect_app: DisconnectApp
    disconnect_every_app: DisconnectEveryApp
    enable_client: EnableClient
    enable_user: EnableUser
    erase_password: ErasePassword
    find_browser_session: FindBrowserSession
    give_consent: GiveConsent
    list_connected_apps: ListConnectedApps
    look_up_session: LookUpSession
    open_account: OpenAccount
    read_client_as_of: ReadClientAsOf
    read_grant_as_of: ReadGrantAsOf
    redeem_code: RedeemCode
    refresh_grant: RefreshGrant
    register_client: RegisterClient
    resume_authorization: ResumeAuthorization
    retire_master_secret: RetireMasterSecret
    revoke_grant: RevokeGrant
    revoke_token: RevokeToken
    rotate_signing_key: RotateSigningKey
    set_password: SetPassword
    sign_in: SignIn
    sign_out: SignOut
    sign_out_everywhere: SignOutEverywhere
    sign_up: SignUp
    start_authorization: StartAuthorization
    withdraw_approval: WithdrawApproval
