"""All use cases over one ledger and fakes."""

from msgspec import Struct, field

from fakes.access_token_signer import ReadableAccessTokenSigner
from fakes.clock import FrozenClock
from fakes.codes import DigestedCodes
from fakes.common_passwords import FewPasswords
from fakes.id_token_signer import ReadableIdTokenSigner
from fakes.no_past import NoPast
from fakes.password_hasher import PlainPasswordHasher
from fakes.randomness import CountingRandomness
from fakes.secrets_in_memory import CountedRecords, GivenTokens, MemorySecretKeeper
from grantledger.adapters.throttles import Throttles
from grantledger.application import use_cases
from grantledger.application.authorization.issue_code import IssueCode
from grantledger.application.policy import ServerPolicy
from grantledger.application.ports import AccessTokenSigner
from grantledger.application.throttling import ActionLimit, GuessLimit, RegistrationLimit
from grantledger.application.use_cases import Ports, Storage
from grantledger.domain.network import network_of
from support.policies import POLICY
from support.readable_sealer import ReadableSealer
from support.signing_keys import CountingKeyMaker
from support.throttles import guess_limit, registration_limit


class Outside(Struct):
    """The fakes other than the ledger."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    randomness: CountingRandomness = field(default_factory=CountingRandomness)
    sealer: ReadableSealer = field(default_factory=ReadableSealer)
    id_token_signer: ReadableIdTokenSigner = field(default_factory=ReadableIdTokenSigner)
    access_token_signer: AccessTokenSigner = field(default_factory=ReadableAccessTokenSigner)
    hasher: PlainPasswordHasher = field(default_factory=PlainPasswordHasher)
    codes: DigestedCodes = field(default_factory=DigestedCodes)
    guesses: GuessLimit = field(default_factory=lambda: guess_limit(None, None, None))
    refreshes: ActionLimit = field(default_factory=lambda: Throttles().action_limit("refreshes", None))
    issued_codes: ActionLimit = field(default_factory=lambda: Throttles().action_limit("codes", None))
    sign_ins: ActionLimit = field(default_factory=lambda: Throttles().action_limit("sign-ins", None))
    registrations: RegistrationLimit = field(default_factory=lambda: registration_limit(None, None))

    def ports(self, ledger: Storage) -> Ports:
        return Ports(
            ledger=ledger,
            past=NoPast(),
            clock=self.clock,
            randomness=self.randomness,
            hasher=self.hasher,
            common_passwords=FewPasswords(),
            tokens=self.sealer,
            codes=self.codes,
            network_digests=lambda address: () if address is None else (f"digest of {network_of(address)}",),
            id_tokens=self.id_token_signer,
            access_tokens=self.access_token_signer,
            key_maker=CountingKeyMaker(),
            secret_keeper=MemorySecretKeeper("secret-1"),
            sealed_records=CountedRecords(),
            issued_tokens=GivenTokens(),
            password_guesses=self.guesses,
            client_secret_guesses=self.guesses,
            registrations=self.registrations,
            sign_ups=self.registrations,
            refreshes=self.refreshes,
            issued_codes=self.issued_codes,
            sign_ins=self.sign_ins,
        )


class UseCases(use_cases.UseCases):
    """A second instance over the same ledger and the same outside is the server after a restart."""

    def __init__(
        self, ledger: Storage, policy: ServerPolicy = POLICY, outside: Outside | None = None
    ) -> None:
        self.outside = outside = outside or Outside()
        self.ledger, self.clock, self.sealer, self.hasher = (
            ledger,
            outside.clock,
            outside.sealer,
            outside.hasher,
        )
        super().__init__(outside.ports(ledger), policy)
        self.issue_code = IssueCode(
            ledger=ledger,
            facts=ledger,
            clock=outside.clock,
            codes=outside.codes,
            policy=policy,
            catalogue=self.catalogue,
            limit=outside.issued_codes,
        )
