"""The source: a shop on loopback whose tree changes, and which says what a test lets it say."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.faults.checker import Checker
from tests.support.contract import Row, Tree

Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
ROOTS: Final = 5
FEW: Final = 3
"""Children at most of a category that goes: what happens to a branch stays plausible."""


class Upstream:
    """Serves `tree` at `url`, after what is in `bad`; the checker learns of each tree."""

    def __init__(self, checker: Checker, tree: Tree) -> None:
        self.url = ""
        self.tree: Tree = {}
        self.bad: list[Answer] = []
        """What the next requests get instead, one each."""
        self.asked = 0
        """Requests so far."""
        self._checker = checker
        self.becomes(tree)

    def becomes(self, tree: Tree) -> None:
        """Serve `tree` from now on."""
        self.tree = tree
        self._checker.served(tree)

    def says(self, bad: Iterable[Answer]) -> None:
        """Answer the next requests with these, one each, and then well again."""
        self.bad.extend(bad)

    def changes(self, chance: random.Random) -> None:
        """Serve another tree from now on, which the guard lets through."""
        self.becomes(another(self.tree, chance))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.asked += 1
        if self.bad:
            return await self.bad.pop(0)(request)
        self._checker.served(self.tree)
        return web.Response(body=encoded(self.tree), content_type="application/json")


def encoded(tree: Tree) -> bytes:
    """Return the envelope around `tree`, as TikTok Shop writes it."""
    rows = [row | {"permission_statuses": ["AVAILABLE"]} for row in tree.values()]
    return orjson.dumps(
        {"code": 0, "message": "Success", "request_id": "faults", "data": {"categories": rows}}
    )


@asynccontextmanager
async def served(upstream: Upstream) -> AsyncIterator[None]:
    """Serve `upstream` on a free port of loopback; its `url` says where."""
    async with answering(upstream.serve) as upstream.url:
        yield


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """Give the URL of a server on loopback that answers every request so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()


def row(id_: str, parent_id: str, local_name: str, *, is_leaf: bool = True) -> Row:
    """Return one category."""
    return {"id": id_, "parent_id": parent_id, "local_name": local_name, "is_leaf": is_leaf}


def grown(count: int, chance: random.Random) -> Tree:
    """Return a tree of `count` categories, of any depth."""
    tree: Tree = {}
    for number in range(1, count + 1):
        parent = "0" if number <= ROOTS else str(chance.randint(1, number - 1))
        tree[str(number)] = row(str(number), parent, f"Category {number}", is_leaf=False)
    return _with_leaves(tree)


def another(tree: Tree, chance: random.Random) -> Tree:
    """Return a plausible next tree: some categories new, renamed, moved, gone, a branch otherwise."""
    new = {id_: dict(each) for id_, each in tree.items()}
    for id_ in chance.sample(sorted(new), min(len(new) // 20 + 1, 10)):
        new[id_]["local_name"] = f"Renamed {chance.randrange(10**6)} <b>&\n"
    for id_ in chance.sample(_leaves(new), 2):
        if chance.random() < 0.5:
            del new[id_]
        else:
            new[id_]["parent_id"] = str(chance.randint(1, ROOTS))
    if branches := _branches(new):
        chance.choice([_moved, _dissolved, _turned])(new, chance.choice(branches), chance)
    for _ in range(chance.randint(1, 4)):
        id_ = str(chance.randrange(10**6, 10**9))
        new[id_] = row(id_, chance.choice(sorted(new)), f"New {id_}")
    return _with_leaves(new)


def without_leaves(tree: Tree, number: int) -> Tree:
    """Return the tree without so many of its leaves."""
    gone = set(_leaves(tree)[:number])
    assert len(gone) == number
    return {id_: each for id_, each in tree.items() if id_ not in gone}


def _moved(tree: Tree, id_: str, chance: random.Random) -> None:
    """Let `id_` hang elsewhere, with all that is below it."""
    elsewhere = [other for other in sorted(tree) if id_ not in _lineage(tree, other)]
    tree[id_]["parent_id"] = chance.choice(elsewhere)


def _dissolved(tree: Tree, id_: str, _: random.Random) -> None:
    """Let `id_` go, and its children come to its parent."""
    parent_id = tree.pop(id_)["parent_id"]
    for child in _children(tree, id_):
        child["parent_id"] = parent_id


def _turned(tree: Tree, id_: str, chance: random.Random) -> None:
    """Let `id_` become the child of one of its children."""
    child = chance.choice(_children(tree, id_))
    child["parent_id"], tree[id_]["parent_id"] = tree[id_]["parent_id"], child["id"]


def _lineage(tree: Tree, id_: str) -> set[str]:
    """Return `id_` and its ancestors."""
    lineage = set()
    while id_ != "0":
        lineage.add(id_)
        id_ = tree[id_]["parent_id"]
    return lineage


def _children(tree: Tree, id_: str) -> list[Row]:
    return [each for each in tree.values() if each["parent_id"] == id_]


def _branches(tree: Tree) -> list[str]:
    """Return the categories with a few children, but for the roots."""
    counts = Counter(each["parent_id"] for each in tree.values())
    few = (id_ for id_, count in counts.items() if id_ != "0" and count <= FEW)
    return sorted(id_ for id_ in few if tree[id_]["parent_id"] != "0")


def _leaves(tree: Tree) -> list[str]:
    """Return the categories that have no children, but for the roots."""
    parents = {each["parent_id"] for each in tree.values()}
    return sorted(id_ for id_ in tree if id_ not in parents and tree[id_]["parent_id"] != "0")


def _with_leaves(tree: Tree) -> Tree:
    parents = {each["parent_id"] for each in tree.values()}
    return {id_: each | {"is_leaf": id_ not in parents} for id_, each in tree.items()}
