"""Master secrets as the ledger uses them. Of a secret only its key id is shown."""

from typing import Any

from grantledger.entrypoints.cli.output import moment, print_record, print_table
from grantledger.entrypoints.cli.progress import progress
from grantledger.entrypoints.container import Container

Record = dict[str, Any]


def used_secrets(container: Container) -> list[Record]:
    """Return each secret that is configured or in use, the newest first."""
    secrets, uses = container.master_secrets(), container.secret_use()
    end = uses.end()
    with progress("Reading the ledger") as tell:
        live = uses.live(now=container.clock().now(), progress=lambda position: tell(position, end))
    records = container.resealing().counts()
    known = [*secrets.key_ids, *sorted((live.keys() | records.keys()) - set(secrets.key_ids))]
    return [
        {
            "key_id": key_id,
            "role": _role(key_id, secrets.key_ids),
            "private_records": records.get(key_id, 0),
            "live_grants": live[key_id].grants if key_id in live else 0,
            "live_until": live[key_id].until if key_id in live else None,
        }
        for key_id in known
    ]


def print_secrets(found: list[Record], *, as_json: bool) -> None:
    if as_json:
        for record in found:
            print_record(record)
        return
    print_table(
        ("master secret", "role", "private records", "live grants", "until (UTC)"),
        [
            (
                one["key_id"],
                one["role"],
                str(one["private_records"]),
                str(one["live_grants"]),
                moment(one["live_until"]),
            )
            for one in found
        ],
    )


def _role(key_id: str, configured: tuple[str, ...]) -> str:
    if key_id not in configured:
        return "missing"
    return "seals" if key_id == configured[0] else "opens"
