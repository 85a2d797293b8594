"""What differs between the databases that a projection can be kept in."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


@dataclass(frozen=True, slots=True)
class Backend:
    """One kind of database, behind the one driver of it that is asynchronous and tested here."""

    driver: str
    """The driver's name, which is also its Python package's."""
    options: frozenset[str]
    """What may stand behind the `?` of a URL."""
    engine_of: Callable[[URL, bool], Awaitable[AsyncEngine]]
    """Opens a URL. The flag says that the database has to be there already."""
    reading: Mapping[str, Any]
    """Execution options of a transaction that sees one moment."""
    writing: Mapping[str, Any]
    """Execution options of a transaction in which an UPDATE sees what others have committed."""
    creating: Callable[[AsyncConnection], AbstractAsyncContextManager[None]]
    """Lets one process at a time create tables."""
    errors: tuple[type[Exception], ...]
    """What opening a connection raises beside SQLAlchemy's errors."""
    may_pass: Callable[[BaseException], bool]
    """Tells whether waiting may help against what the driver raised."""
    text_of: Callable[[BaseException], str]
    """Says in one line what the driver raised."""
    advice: Mapping[str, str]
    """What to do, by a pattern in that line; the first one that is found counts."""
