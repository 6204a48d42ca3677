"""An operator who acts on the server while a browser test runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from anyio.from_thread import BlockingPortal, start_blocking_portal
from msgspec import Struct

from grantledger.application.provenance import Caller
from grantledger.entrypoints.composition import Container
from support.server import PASSWORD, Server

CALLER = Caller(correlation_id="test")


class Operator(Struct, frozen=True):
    """Calls use cases on the server's ledger from a thread that has no event loop of its own."""

    portal: BlockingPortal
    container: Container
    user_ids: dict[str, str]

    @classmethod
    @contextmanager
    def of(cls, server: Server) -> Iterator[Self]:
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(server.use_cases()) as container,
        ):
            yield cls(portal, container, {})

    def opens_account(self, address: str) -> None:
        self.user_ids[address] = self.portal.call(
            self.container.use_cases().open_account, address, PASSWORD, CALLER
        )

    def disables_account(self, address: str) -> None:
        self.portal.call(self.container.use_cases().disable_user, self.user_ids[address], CALLER)

    def disables_client(self, client_id: str) -> None:
        self.portal.call(self.container.use_cases().disable_client, client_id, CALLER)

    def disables_host_user(self, host_user_id: str) -> None:
        account = self.portal.call(self.container.use_cases().admit_host_user, host_user_id, CALLER)
        self.portal.call(self.container.use_cases().disable_user, account.user_id, CALLER)
