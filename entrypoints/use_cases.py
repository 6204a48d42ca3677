"""All use cases of one server, for programs that call them without HTTP."""

from msgspec import Struct

from grantledger.adapters.web.mcp_session import GetMcpSession
from grantledger.application.authenticate_client import AuthenticateClient
from grantledger.application.delete_client import DeleteClient
from grantledger.application.describe_keys import DescribeKeys
from grantledger.application.describe_server import DescribeServer
from grantledger.application.describe_user import DescribeUser
from grantledger.application.disable_client import DisableClient
from grantledger.application.disable_user import DisableUser
from grantledger.application.look_up_session import LookUpSession
from grantledger.application.open_account import OpenAccount
from grantledger.application.redeem_code import RedeemCode
from grantledger.application.refresh_grant import RefreshGrant
from grantledger.application.register_client import RegisterClient
from grantledger.application.revoke_token import RevokeToken
from grantledger.application.rotate_signing_key import RotateSigningKey
from grantledger.entrypoints.container import Container


class UseCases(Struct, frozen=True, kw_only=True):
    """Each is called as `await use_cases.name(...)`; its class says what it takes, returns and raises."""

    authenticate_client: AuthenticateClient
    delete_client: DeleteClient
    describe_keys: DescribeKeys
    describe_server: DescribeServer
    describe_user: DescribeUser
    disable_client: DisableClient
    disable_user: DisableUser
    get_mcp_session: GetMcpSession
    look_up_session: LookUpSession
    open_account: OpenAccount
    redeem_code: RedeemCode
    refresh_grant: RefreshGrant
    register_client: RegisterClient
    revoke_token: RevokeToken
    rotate_signing_key: RotateSigningKey


def use_cases_of(container: Container) -> UseCases:
    return UseCases(**{name: getattr(container, name)() for name in UseCases.__struct_fields__})
