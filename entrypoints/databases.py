"""The database that the settings name."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from grantledger.entrypoints.exposed_files import check_database_closed
from grantledger.entrypoints.settings import Settings, SettingsInvalid, database_name, is_in_postgresql

if TYPE_CHECKING:
    from grantledger.adapters.ledger.database import Database


def database_of(settings: Settings) -> "Database":
    """Return the database, which may not exist yet.

    Raises `SettingsInvalid` without its drivers, and for a file that other users can read.
    """
    check_database_closed(settings)
    return database_at(settings.database, pool_size=settings.pool_size, pooler=settings.pooler)


def database_at(named: str, *, pool_size: int = 1, pooler: bool = False) -> "Database":
    """Return the database by its path or URL. Raises `SettingsInvalid` without its drivers."""
    if not is_in_postgresql(named):
        from grantledger.adapters.ledger.sqlite import SqliteDatabase  # noqa: PLC0415 - only what is used

        return SqliteDatabase(named)
    if find_spec("asyncpg") is None or find_spec("psycopg") is None:
        sentence = "needs the drivers of PostgreSQL: pip install 'grantledger[postgresql]'"
        raise SettingsInvalid("database", sentence)
    from grantledger.adapters.ledger.postgresql import PostgresDatabase  # noqa: PLC0415 - an extra

    return PostgresDatabase(named, name=database_name(named), pool_size=pool_size, pooler=pooler)
