"""What can go wrong with the store.

StoreError
├── StoreLost      it does not answer, is locked, full or read-only: it may work again in a moment
├── StoreNewer     its schema is newer than this program
└── Unfit          it answers, but refuses what it was given
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError


class StoreError(Exception):
    """The message says what is wrong, without credentials."""


class StoreLost(StoreError):
    pass


class StoreNewer(StoreError):
    pass


class Unfit(StoreError):
    pass


UNFIT = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,  # a type that cannot be bound
    sqlite3.ProgrammingError,  # the same, in Python 3.12
    OverflowError,
    ValueError,  # characters that are none; asyncpg's DataError
)
UNFIT_STATES = ("22", "23")
"""The first two characters of an SQLSTATE: bad data, broken constraints."""


def is_unfit(error: BaseException) -> bool:
    return isinstance(error, UNFIT) or (getattr(error, "sqlstate", None) or "")[:2] in UNFIT_STATES


@contextmanager
def translated(*more: type[Exception]) -> Iterator[None]:
    """Turns what drivers and SQLAlchemy raise into errors of the store; `more` are a driver's own."""
    drivers: tuple[type[Exception], ...] = (sqlite3.Error, OSError, *UNFIT, *more)  # TimeoutError is an OSError
    try:
        yield
    except drivers as error:
        raise (Unfit if is_unfit(error) else StoreLost)(said(error)) from error
    except DBAPIError as error:
        cause: BaseException = error if error.orig is None else error.orig.__cause__ or error.orig
        raise (Unfit if is_unfit(cause) else StoreLost)(said(cause)) from error
    except SQLAlchemyError as error:  # no free connection in time, for one
        raise StoreLost(said(error)) from error


def said(error: BaseException) -> str:
    """The first line of what an error says, after its name."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
