"""Authorization codes, bound to the verifier of RFC 7636 appendix B."""

from typing import Any

from msgspec.structs import replace

from grantledger.domain.authorization_code import (
    AuthorizationCode,
    CodeIssued,
    CodeRedeemed,
    CodeReplayed,
    evolve,
)

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ANOTHER_VERIFIER = VERIFIER[::-1]

ISSUED_AT = 1_000
EXPIRES_AT = 1_600
ISSUED = CodeIssued(
    transaction_id="transaction",
    client_id="glc_editor",
    client_registration=1,
    user_id="glu_ada",
    session_id="session",
    redirect_uri="https://client.example/callback",
    scopes=("openid", "notes:read"),
    resource="https://mcp.example/mcp",
    code_challenge=CHALLENGE,
    issued_at=ISSUED_AT,
    expires_at=EXPIRES_AT,
)
ISSUED_FOR_ID_TOKEN = replace(ISSUED, auth_time=900, nonce="n-0S6_WzA2Mj")


def a_code(*after: CodeRedeemed | CodeReplayed, **issued: Any) -> AuthorizationCode:
    """Return an issued code after the events `after`."""
    code = evolve(None, replace(ISSUED, **issued))
    for event in after:
        code = evolve(code, event)
    return code


def a_redeemed_code() -> AuthorizationCode:
    return a_code(CodeRedeemed(grant_id="the-first-grant", redeemed_at=ISSUED_AT + 1))


def redeem(
    code: AuthorizationCode, *, at: int = ISSUED_AT + 10, **request: Any
) -> tuple[CodeRedeemed | CodeReplayed, ...]:
    """Redeem the code with a correct request, except for the fields in `request`."""
    right: dict[str, Any] = {
        "client_id": ISSUED.client_id,
        "client_registration": ISSUED.client_registration,
        "redirect_uri": ISSUED.redirect_uri,
        "verifier": VERIFIER,
        "resources": (ISSUED.resource,),
        "grant_id": "a-grant",
    }
    return code.redeem(**(right | request), now=at)
