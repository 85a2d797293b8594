"""The source: a server on loopback that changes its tree or answers wrongly."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.faults.catalog_checker import CatalogChecker
from tests.support.contract import Row, Tree

Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
ROOTS: Final = 5
FEW: Final = 3
"""Maximum children of a category that is removed, so that the change stays plausible."""


class ChangingSource:
    """Serves `next_answers`, then `tree`; tells the checker each tree."""

    def __init__(self, checker: CatalogChecker, tree: Tree) -> None:
        self.url = ""
        self.tree: Tree = {}
        self.next_answers: list[Answer] = []
        """The answers to the next requests, one each."""
        self.requests = 0
        """Requests so far."""
        self._checker = checker
        self.serve_tree(tree)

    def serve_tree(self, tree: Tree) -> None:
        """Serve `tree` from now on."""
        self.tree = tree
        self._checker.source_served(tree)

    def answer_next(self, bad: Iterable[Answer]) -> None:
        """Give the next requests these answers, one each; then serve the tree again."""
        self.next_answers.extend(bad)

    def change(self, rng: random.Random) -> None:
        """Serve another tree from now on, a plausible one."""
        self.serve_tree(changed_tree(self.tree, rng))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests += 1
        if self.next_answers:
            return await self.next_answers.pop(0)(request)
        self._checker.source_served(self.tree)
        return web.Response(body=encode(self.tree), content_type="application/json")


def encode(tree: Tree) -> bytes:
    """Return the envelope around `tree`, as TikTok Shop sends it."""
    rows = [row | {"permission_statuses": ["AVAILABLE"]} for row in tree.values()]
    return orjson.dumps(
        {"code": 0, "message": "Success", "request_id": "faults", "data": {"categories": rows}}
    )


@asynccontextmanager
async def serving(source: ChangingSource) -> AsyncIterator[None]:
    """Serve `source` on a free port of loopback, and set its `url`."""
    async with serve_http(source.serve) as source.url:
        yield


@asynccontextmanager
async def serve_http(answer: Answer) -> AsyncIterator[str]:
    """Run a server on loopback that gives `answer` to every request; gives its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()


def row(id_: str, parent_id: str, local_name: str, *, is_leaf: bool = True) -> Row:
    """Return a category."""
    return {"id": id_, "parent_id": parent_id, "local_name": local_name, "is_leaf": is_leaf}


def random_tree(count: int, rng: random.Random) -> Tree:
    """Return a tree of `count` categories, of any depth."""
    tree: Tree = {}
    for number in range(1, count + 1):
        parent = "0" if number <= ROOTS else str(rng.randint(1, number - 1))
        tree[str(number)] = row(str(number), parent, f"Category {number}", is_leaf=False)
    return _with_leaves(tree)


def changed_tree(tree: Tree, rng: random.Random) -> Tree:
    """Return a plausible next tree: some categories new, renamed, moved or removed."""
    new = {id_: dict(each) for id_, each in tree.items()}
    for id_ in rng.sample(sorted(new), min(len(new) // 20 + 1, 10)):
        new[id_]["local_name"] = f"Renamed {rng.randrange(10**6)} <b>&\n"
    for id_ in rng.sample(_leaves(new), 2):
        if rng.random() < 0.5:
            del new[id_]
        else:
            new[id_]["parent_id"] = str(rng.randint(1, ROOTS))
    if branches := _branches(new):
        rng.choice([_move_branch, _dissolve, _swap_with_child])(new, rng.choice(branches), rng)
    for _ in range(rng.randint(1, 4)):
        id_ = str(rng.randrange(10**6, 10**9))
        new[id_] = row(id_, rng.choice(sorted(new)), f"New {id_}")
    return _with_leaves(new)


def without_leaves(tree: Tree, number: int) -> Tree:
    """Return the tree without so many of its leaves."""
    gone = set(_leaves(tree)[:number])
    assert len(gone) == number
    return {id_: each for id_, each in tree.items() if id_ not in gone}


def _move_branch(tree: Tree, id_: str, rng: random.Random) -> None:
    """Move the category `id_` with its descendants to another parent."""
    elsewhere = [other for other in sorted(tree) if id_ not in _with_ancestors(tree, other)]
    tree[id_]["parent_id"] = rng.choice(elsewhere)


def _dissolve(tree: Tree, id_: str, _: random.Random) -> None:
    """Remove the category `id_`, and move its children to its parent."""
    parent_id = tree.pop(id_)["parent_id"]
    for child in _children(tree, id_):
        child["parent_id"] = parent_id


def _swap_with_child(tree: Tree, id_: str, rng: random.Random) -> None:
    """Make the category `id_` the child of one of its children."""
    child = rng.choice(_children(tree, id_))
    child["parent_id"], tree[id_]["parent_id"] = tree[id_]["parent_id"], child["id"]


def _with_ancestors(tree: Tree, id_: str) -> set[str]:
    """Return `id_` and its ancestors."""
    lineage = set()
    while id_ != "0":
        lineage.add(id_)
        id_ = tree[id_]["parent_id"]
    return lineage


def _children(tree: Tree, id_: str) -> list[Row]:
    return [each for each in tree.values() if each["parent_id"] == id_]


def _branches(tree: Tree) -> list[str]:
    """Return the categories with a few children, without the roots."""
    counts = Counter(each["parent_id"] for each in tree.values())
    few = (id_ for id_, count in counts.items() if id_ != "0" and count <= FEW)
    return sorted(id_ for id_ in few if tree[id_]["parent_id"] != "0")


def _leaves(tree: Tree) -> list[str]:
    """Return the categories without children, without the roots."""
    parents = {each["parent_id"] for each in tree.values()}
    return sorted(id_ for id_ in tree if id_ not in parents and tree[id_]["parent_id"] != "0")


def _with_leaves(tree: Tree) -> Tree:
    parents = {each["parent_id"] for each in tree.values()}
    return {id_: each | {"is_leaf": id_ not in parents} for id_, each in tree.items()}
