"""All use cases of one server, for programs that call them without HTTP."""

from msgspec import Struct

from grantledger.adapters.web.mcp_session import GetMcpSession
from grantledger.application.activate_master_secret import ActivateMasterSecret
from grantledger.application.add_master_secret import AddMasterSecret
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
from grantledger.application.list_connected_apps import ListConnectedApps
from grantledger.application.look_up_session import LookUpSession
from grantledger.application.open_account import OpenAccount
from grantledger.application.read_client_as_of import ReadClientAsOf
from grantledger.application.read_grant_as_of import ReadGrantAsOf
from grantledger.application.redeem_code import RedeemCode
from grantledger.application.refresh_grant import RefreshGrant
from grantledger.application.register_client import RegisterClient
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
from grantledger.entrypoints.container import Container


class UseCases(Struct, frozen=True, kw_only=True):
    """Each is called as `await use_cases.name(...)`; its class says what it takes, returns and raises."""

    activate_master_secret: ActivateMasterSecret
    add_master_secret: AddMasterSecret
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
    get_mcp_session: GetMcpSession
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


def use_cases_of(container: Container) -> UseCases:
    return UseCases(**{name: getattr(container, name)() for name in UseCases.__struct_fields__})
