"""Who runs the server, at hand while a browser is looked at."""

from anyio.from_thread import BlockingPortal
from msgspec import Struct

from grantledger.application.provenance import Caller
from grantledger.entrypoints.container import Container
from support.server import PASSWORD

CALLER = Caller(correlation_id="test")


class Operator(Struct, frozen=True):
    """Calls use cases on the server's ledger from a thread that has no event loop of its own."""

    portal: BlockingPortal
    container: Container
    user_ids: dict[str, str]

    def opens_account(self, address: str) -> None:
        self.user_ids[address] = self.portal.call(self.container.open_account(), address, PASSWORD, CALLER)

    def disables_account(self, address: str) -> None:
        self.portal.call(self.container.disable_user(), self.user_ids[address], CALLER)
