"""The trees that a sandbox serves, one after another: from files, or one that lives for ever."""

from collections.abc import Iterable, Iterator
from itertools import count

from publisher.sandbox import synthetic
from publisher.sandbox.page import Page
from publisher.sandbox.tree import Tree


class History:
    """Where a sandbox is in its sequence of trees; the last one stays for ever.

    `index` counts from 0, for a living tree it is the round. `answered` says whether the tree of
    now has been served whole.
    """

    def __init__(self, trees: Iterable[Tree]) -> None:
        self._trees = iter(trees)
        self.page = Page(next(self._trees))
        self.index = 0
        self.answered = False

    def advance(self) -> None:
        """Go on to the next tree, if there is one."""
        tree = next(self._trees, None)
        if tree is not None:
            self.page = Page(tree)
            self.index += 1
            self.answered = False


def living(categories: int, seed: int) -> Iterator[Tree]:
    """Yield a synthetic tree of so many `categories`, and how it changes, round after round."""
    tree: Tree = synthetic.grow(categories, seed)
    for round_ in count(1):
        yield tree
        tree = synthetic.live(tree, round_, seed)
