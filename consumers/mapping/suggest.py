"""Which leaves are most similar to an own category, by rapidfuzz. Pure.

The score is the mean of two ratios, 0 to 100: of the full paths as sets of words
(`token_set_ratio`: an own path is mostly the shorter one, and whatever else the other says is no
fault), and of the names as sorted words (`token_sort_ratio`: else `Dresses` would be equal
to all that stands below a `Dresses`). On two published taxonomies that found more than either
ratio alone; `WRatio` rated hundreds of leaves alike. Both compare without case and punctuation.
"""

from bisect import insort
from collections.abc import Collection
from typing import Final

from rapidfuzz import fuzz, process
from rapidfuzz.utils import default_process

from consumers.mapping.model import Candidate
from consumers.mapping.tree import Tree

MIN_SCORE: Final = 60.0
"""Below it, words are similar by chance."""
MIN_OF_NAMES: Final = 40.0
"""What the names alone have to be: else a leaf would be found for its ancestors' sake. And nine of
ten leaves are passed over before their paths, which cost the most, are looked at."""


class Leaves:
    """The leaves of `tree` that are not linked, ready to be compared."""

    def __init__(self, tree: Tree, linked: Collection[str]) -> None:
        free = [leaf for leaf in tree.leaves() if leaf.id not in linked]
        self._tree = tree
        self._names = {leaf.id: _words(leaf.local_name) for leaf in free}
        self._paths = {leaf.id: _words(tree.path(leaf.id)) for leaf in free}

    def similar(
        self, name: str, path: str, limit: int, min_score: float = MIN_SCORE
    ) -> list[Candidate]:
        """Return up to `limit` leaves with at least `min_score`, best first, ties by id."""
        best: list[tuple[float, str]] = []
        name, path = _words(name), _words(path)
        for _, of_names, id_ in process.extract(
            name, self._names, scorer=fuzz.token_sort_ratio, limit=None, score_cutoff=MIN_OF_NAMES
        ):
            bar = -best[-1][0] if len(best) == limit else min_score
            if (of_names + 100) / 2 < bar:  # and from here on the names differ more still
                break
            score = (of_names + fuzz.token_set_ratio(path, self._paths[id_])) / 2
            if score >= bar:
                insort(best, (-score, id_))
                del best[limit:]
        return [Candidate(id_, self._tree.path(id_), round(-score, 1)) for score, id_ in best]

    def score(self, name: str, path: str, id_: str) -> float:
        """Return how similar the leaf `id_`, which is not linked, is."""
        of_names = fuzz.token_sort_ratio(_words(name), self._names[id_])
        of_paths = fuzz.token_set_ratio(_words(path), self._paths[id_])
        return round((of_names + of_paths) / 2, 1)


def _words(text: str) -> str:
    """Return `text` without case and punctuation; as it is if it has nothing else."""
    return default_process(text) or text
