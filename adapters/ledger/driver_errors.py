"""What the driver raises, in the words of the `eventsourcing` library."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from eventsourcing.persistence import DataError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import DBAPIError

_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


@contextmanager
def library_errors() -> Iterator[None]:
    """Raise `IntegrityError` for what is there already, `OperationalError` in an outage."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        # A missing value is no lost race: who took it for one would try again for ever.
        raise (IntegrityError if error.sqlite_errorcode in _UNIQUE else DataError)(error) from error
    except (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError) as error:
        raise ProgrammingError(error) from error
    except (sqlite3.Error, DBAPIError, OSError) as error:
        raise OperationalError(error) from error
