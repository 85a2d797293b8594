"""The differences between the kinds of databases."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


@dataclass(frozen=True, slots=True)
class Backend:
    """One kind of database, with the one asynchronous driver that is tested here."""

    driver: str
    """The driver's name, which is also that of its Python package."""
    options: frozenset[str]
    """The options that are allowed after the `?` of a URL."""
    create_engine: Callable[[URL, bool], Awaitable[AsyncEngine]]
    """Returns an engine for a URL. The flag says that the database must exist already."""
    reading: Mapping[str, Any]
    """Execution options of a transaction that reads one consistent moment."""
    writing: Mapping[str, Any]
    """Execution options of a transaction in which an UPDATE sees what others have committed."""
    lock_creation: Callable[[AsyncConnection], AbstractAsyncContextManager[object]]
    """Lets only one process at a time create tables."""
    errors: tuple[type[Exception], ...]
    """Errors of opening a connection that are not SQLAlchemy's."""
    is_transient: Callable[[BaseException], bool]
    """Returns whether waiting may help against an error of the driver."""
    message_of: Callable[[BaseException], str]
    """Returns the message of an error of the driver."""
    advice: Mapping[str, str]
    """What a user can do, by a pattern in the message; the first one that is found counts."""
