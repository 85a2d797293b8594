"""A tree that is ready to be served: in order, and turned into JSON once, not for each request."""

from functools import cached_property
from typing import Final

import orjson

from publisher.sandbox.body import Piece
from publisher.sandbox.tree import Tree, breadth_first

STATUSES: Final = (*["AVAILABLE"] * 17, "INVITE_ONLY", "INVITE_ONLY", "NON_MAIN_CATEGORY")
"""`permission_statuses`, in turn; they belong to a shop, and nobody stores them (contract, 2)."""


class Page:
    """One tree, ready to be served: its rows in TikTok's order and, once needed, their JSON."""

    def __init__(self, tree: Tree) -> None:
        self.rows = breadth_first(tree)

    @cached_property
    def data(self) -> Piece:
        """The envelope's `data`."""
        rows = [
            {
                "id": row.id,
                "parent_id": row.parent_id,
                "local_name": row.local_name,
                "is_leaf": row.is_leaf,
                "permission_statuses": [STATUSES[number % len(STATUSES)]],
            }
            for number, row in enumerate(self.rows)
        ]
        return Piece(orjson.dumps({"categories": rows}))
