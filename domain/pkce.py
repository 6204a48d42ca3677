"""Proof key for code exchange, S256 only: RFC 7636, OAuth 2.1 sections 4.1.1 and 7.5."""

import hmac
import re

from grantledger.domain.digests import sha256
from grantledger.domain.refusal import Refusal

_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_\-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


class CodeChallengeMissing(Refusal):
    """The authorization request has no `code_challenge`."""


class CodeChallengeMethodUnsupported(Refusal):
    """`code_challenge_method` is not S256."""


class CodeChallengeMalformed(Refusal):
    """The code challenge is not the base64url of a SHA-256."""


class CodeVerifierMissing(Refusal):
    """The token request has no `code_verifier`."""


class CodeVerifierMalformed(Refusal):
    """The code verifier is not 43 to 128 unreserved characters."""


class CodeVerifierMismatch(Refusal):
    """The code verifier does not match the code challenge."""


def checked_challenge(challenge: str | None, method: str | None) -> str:
    """Return the challenge to bind the code to: RFC 7636 section 4.4.1.

    Raises `CodeChallengeMissing`, `CodeChallengeMethodUnsupported` or `CodeChallengeMalformed`.
    """
    if not challenge:
        raise CodeChallengeMissing
    # RFC 7636 section 4.3: a missing method means "plain", which reveals the verifier in the URL.
    if method != "S256":
        raise CodeChallengeMethodUnsupported
    if not _S256_CHALLENGE.fullmatch(challenge):
        raise CodeChallengeMalformed
    return challenge


def check_verifier(verifier: str | None, challenge: str) -> None:
    """Check that the verifier is the one that the challenge was made from: RFC 7636 section 4.6.

    Raises `CodeVerifierMissing`, `CodeVerifierMalformed` or `CodeVerifierMismatch`.
    """
    if not verifier:
        raise CodeVerifierMissing
    if not _VERIFIER.fullmatch(verifier):
        raise CodeVerifierMalformed
    computed = sha256(verifier.encode("ascii"))
    if not hmac.compare_digest(computed.encode(), challenge.encode()):
        raise CodeVerifierMismatch
