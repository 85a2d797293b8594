"""The words of a command that are too many to stand in memory together. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Iterator


class LazyArguments(ABC):
    """The last argument of a command, which stands for all of its words.

    `plumbing.pieces` sends it. The same words have to come each time, since a command may have to
    be sent again.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return how many there are."""

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]:
        """Make them, from the first one on."""
