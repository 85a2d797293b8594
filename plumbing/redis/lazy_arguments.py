"""The type of a command's arguments that are too many to be in memory together. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Iterator


class LazyArguments(ABC):
    """Stands, as the last argument of a command, for many arguments that are created on demand.

    `plumbing.redis.chunked_command` sends them. Each iteration yields the same arguments, since a
    command may have to be sent again.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of arguments."""

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]:
        """Yield the arguments, from the first one on."""
