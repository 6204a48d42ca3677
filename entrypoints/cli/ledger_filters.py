"""Clients, users and grants as filters of the ledger: the log says which there are, or have been."""

from pathlib import Path

from msgspec import structs

from grantledger.adapters.ledger.audit import Audit, Filter
from grantledger.entrypoints.cli.failures import ClientNotFound, Failed, GrantNotFound, UserNotFound
from grantledger.entrypoints.cli.finding import named_user
from grantledger.entrypoints.cli.running import on_ledger

_UNKNOWN: dict[str, type[Failed]] = {
    "client": ClientNotFound,
    "user": UserNotFound,
    "grant": GrantNotFound,
}


def user_wanted(database: str | None, config: Path | None, name: str) -> str:
    """Return the id of the user, whom `named_user` finds by another name. Raises `UserNotFound`."""
    if name.startswith("glu_"):  # without the ledger itself: a copy of it is read without its master secret
        return name
    return on_ledger(database, config, lambda container: named_user(container, name))


def check_known(audit: Audit, wanted: Filter) -> None:
    """Raise `ClientNotFound`, `UserNotFound` or `GrantNotFound` for what the log knows nothing of."""
    for what, value in structs.asdict(wanted).items():
        named = what in _UNKNOWN and value is not None
        if named and next(audit.lines(Filter(**{what: value})), None) is None:
            raise _UNKNOWN[what](f"there is no {what} {value!r}")
