"""A source that answers what a test told it, and may do something before it answers."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from publisher.core.model import Category
from publisher.sources import Answer
from tests.support.trees import body


class ScriptedSource:
    """Answers with `tree`; `meanwhile` runs between question and answer."""

    def __init__(self) -> None:
        self.body = b""
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    def says(self, categories: Mapping[str, Category] | Iterable[Category]) -> None:
        """Answer with these from now on."""
        self.body = body(categories)

    async def fetch(self) -> Answer:
        """Answer."""
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return Answer(self.body, bare_list=True)
