"""The type of a command's arguments too many to be in memory at once. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Iterator


class LazyArguments(ABC):
    """The last argument of a command, in place of many created on demand.

    `plumbing.redis.chunked_command` sends them. Each iteration yields the same arguments, since a
    command may have to be sent again.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of arguments."""

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]:
        """Yield the arguments, from the first one on."""
