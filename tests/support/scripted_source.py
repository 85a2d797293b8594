"""A source that returns the tree that a test sets."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from publisher.core.model import Category
from publisher.sources import Answer
from tests.support.trees import body


class ScriptedSource:
    """Returns the tree of the last `set_tree`.

    `meanwhile` runs before the answer, once.
    """

    def __init__(self) -> None:
        self.body = b""
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    def set_tree(self, categories: Mapping[str, Category] | Iterable[Category]) -> None:
        """Set the tree that the source returns from now on."""
        self.body = body(categories)

    async def fetch(self) -> Answer:
        """Return the answer."""
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return Answer(self.body, bare_list=True)
