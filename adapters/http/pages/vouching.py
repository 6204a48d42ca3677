"""The end of a sign-in at a host on a loopback issuer: the host vouches for the user."""

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.embedding.host_identity import HostUser
from grantledger.adapters.http.middleware import note_refusal
from grantledger.adapters.http.pages.parts import PageParts
from grantledger.adapters.http.pages.rendering import ContinuePage
from grantledger.adapters.http.pages.responses import page, redirect
from grantledger.adapters.http.parameters import header_value
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.accounts.admit_host_user import SignInHostUser, VoucherUsed
from grantledger.application.ports import Clock, Randomness

LIFETIME = 60
"""Seconds in which the browser must follow the redirect of the host."""


class Voucher(Struct, frozen=True, kw_only=True):
    """States that the host has signed this user in. It can open only the session `session_id`."""

    user: HostUser
    session_id: str
    expires_at: int


class Vouchers:
    """Vouchers are sealed, and bound to the transaction or the account that the sign-in was for."""

    def __init__(self, box: SealedBox, clock: Clock, randomness: Randomness) -> None:
        self._box = box
        self._clock = clock
        self._randomness = randomness

    def make(self, segment: str, user: HostUser) -> str:
        voucher = Voucher(
            user=user,
            session_id=self._randomness.new_id(),
            expires_at=self._clock.now() + LIFETIME,
        )
        return self._box.seal(msgspec.json.encode(voucher), f"voucher {segment}")

    def open(self, segment: str, sealed: str) -> Voucher | None:
        """Return the voucher, or None if it is not ours, is for another transaction, or has expired."""
        encoded = self._box.open(sealed, f"voucher {segment}")
        if encoded is None:
            return None
        voucher = msgspec.json.decode(encoded, type=Voucher)
        return voucher if self._clock.now() < voucher.expires_at else None


class VouchingEndpoint:
    def __init__(self, parts: PageParts, vouchers: Vouchers, sign_in: SignInHostUser) -> None:
        self._parts = parts
        self._vouchers = vouchers
        self._sign_in = sign_in

    async def accept(
        self, request: AnyRequest, segment: FromPath[str], voucher: FromPath[str]
    ) -> Response[bytes]:
        """Open a session for the user that the host vouches for, at a new home.

        Raises `PendingRequestLost`, `UserIsDisabled`.
        """
        context = self._parts.contexts.find(request, segment)
        vouched = self._vouchers.open(segment, voucher)
        if vouched is None:
            return redirect(context.url)
        try:
            new = await self._sign_in(
                vouched.user.user_id,
                self._parts.caller_of(request),
                session_id=vouched.session_id,
                longest=self._parts.session_cookies.longest(context),
            )
        except VoucherUsed as refusal:
            note_refusal(request.scope, refusal)
            return redirect(context.url)
        there, cookies = self._parts.signed_in(request, context, new, vouched.user)
        response = self._go_on(request, there.url, vouched.user)
        for cookie in cookies:
            response.set_cookie(cookie)
        return response

    def _go_on(self, request: AnyRequest, url: str, user: HostUser) -> Response[bytes]:
        if header_value(request.scope, b"sec-fetch-site") in (None, "same-origin"):
            return redirect(url)
        # The host's page has another origin. A redirect from there may not reach a session, but a link may.
        parts = self._parts
        html = parts.render(
            ContinuePage(
                base_path=parts.base_path,
                home=parts.homes.root.path,
                user_name=user.name or user.user_id,
                url=url,
            )
        )
        return page(html)
