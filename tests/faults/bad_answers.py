"""Bad answers of a source: everything that must not reach the state, by what is wrong with it."""

import asyncio
import gzip
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson
from aiohttp import web

from tests.faults.changing_source import Answer, changed_tree, encode
from tests.support.contract import Tree

CODES: Final = (
    *(105002, 36009002, 36009003, 36009007, 36009037, 106001, 106013, 101000, 105005, 36009033),
    *(12052217, 36009014, 36009004, 36009043, 36009044, 36004004, 36004001, 36004005, 999999999),
)
"""Every code of docs/tiktok-shop-api.md, and one that it does not list."""
WRONG: Final[tuple[Any, ...]] = (None, 7, 1.5, [], {}, "")
"""What no field of a category may be: an empty text is no id, no name, and no root's parent."""
MESSAGES: Final = (
    "invalid sign",
    "invalid timestamp",
    "invalid app_key",
    "access_token is invalid",
)
"""Of 36009004, which means something else with each of them."""
END_OF_AN_HOUR: Final = "Thu, 01 Jan 2026 00:59:59 GMT"
"""Until the next hour, when a development shop may be asked again, it is one second."""
MIB: Final = 1 << 20
INFLATED: Final = 200 * MIB
"""Bytes of a decompression bomb."""


def plain(body: bytes, *, status: int = 200, **headers: str) -> Answer:
    """Answer with `body` as it is."""

    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, headers=named)

    return answer


def code(number: int, message: str = "no", *, status: int = 200) -> Answer:
    """Refuse with an envelope."""
    told = {"code": number, "message": message, "request_id": "r", "data": None}
    return plain(orjson.dumps(told), status=status, Date=END_OF_AN_HOUR, Retry_After="1")


def refusals() -> Iterator[Answer]:
    """Refuse with each code of docs/tiktok-shop-api.md."""
    yield from (code(number) for number in CODES)
    yield code(105002, status=401)
    yield from (code(36009004, message) for message in MESSAGES)


def closing(body: bytes, length: int) -> Answer:
    """Promise `length` bytes, send `body`, and close the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (length, body))
        await asyncio.sleep(0.02)
        request.transport.close()
        return web.Response()

    return answer


def endless(piece: bytes, pause: float) -> Answer:
    """Never come to an end; the client has to."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(b'{"code":0,"data":{"categories":[')
            while True:
                await response.write(piece)
                await asyncio.sleep(pause)
        except ConnectionError:
            return response

    return answer


def cut_short(tree: Tree, rng: random.Random) -> Iterator[Answer]:
    """Give the answer cut at any byte: as if that were all, with its length, and by a close."""
    body = encode(tree)
    for _ in range(12):
        at = rng.randrange(1, len(body))
        yield plain(body[:at])
        if body[at - 1 : at] != b"}":  # else that is a tree without some of its last leaves
            yield plain(body[:at] + b"]}}")
    for _ in range(3):
        yield closing(body[: rng.randrange(1, len(body))], len(body))


def no_trees(tree: Tree) -> Iterator[Answer]:
    """Give lists that are no tree of categories."""
    first, second, *_ = (id_ for id_, row in tree.items() if row["parent_id"] == "0")
    inner = next(row["parent_id"] for row in reversed(tree.values()) if row["parent_id"] != "0")
    for field in ("id", "parent_id", "local_name", "is_leaf"):
        for value in WRONG:
            yield _with(tree, first, **{field: value})
        yield _rows({**row} for row in _without_field(tree, first, field))
    for name in ("\0", "a\0b"):
        yield _with(tree, first, local_name=name)
    yield _with(tree, first, id="0")
    yield _with(tree, first, parent_id=first)
    yield _with(tree, first, parent_id="no such")
    yield (
        _with(tree, first, parent_id=inner)
        if _is_below(tree, inner, first)
        else _with(tree, first, parent_id=first)
    )
    yield _rows([*tree.values(), tree[second] | {"local_name": "Twice"}])
    yield _rows(row for id_, row in tree.items() if id_ != inner)
    yield _rows([])
    yield plain(encode(tree).replace(b'"Category 1"', b'"\\ud800"'))
    yield plain(encode(tree).replace(b'"categories":', b'"next_page_token":"x","categories":'))


def no_json(tree: Tree) -> Iterator[Answer]:
    """Give bodies that are no JSON, or not of the documented form."""
    body = encode(tree)
    yield from (plain(b""), plain(b"null"), plain(b"{}"), plain(b"[]"), plain(b"0"), plain(b'""'))
    yield plain(b"<html><body>502 Bad Gateway</body></html>", content_type="text/html")
    yield plain(b'{"code":"0","data":{"categories":[]}}')
    yield plain(b'{"code":0,"data":null}')
    yield plain(b'{"code":0,"data":{"categories":{}}}')
    yield plain(b'{"code":0,"data":{"categories":[null]}}')
    yield plain(body.replace(b"Category 1", b"Category \xff"))
    yield plain(body.decode().encode("utf-16"))
    yield plain(b"[" * 200_000)
    yield plain(b'{"code":' + b"9" * 5000 + b"}")
    yield plain(body + body)


def no_encodings(tree: Tree, rng: random.Random) -> Iterator[Answer]:
    """Give bodies that are not encoded as they say, or inflate far beyond any limit.

    What does is a plausible next tree, but for its size: who is patient enough would take it.
    """
    body = encode(tree)
    yield plain(body, Content_Encoding="gzip")
    yield plain(gzip.compress(body)[:-20], Content_Encoding="gzip")
    yield plain(zlib.compress(body), Content_Encoding="deflate, gzip")
    bomb = encode(changed_tree(tree, rng)).ljust(INFLATED)
    yield plain(gzip.compress(bomb, 1), Content_Encoding="gzip")
    yield plain(zlib.compress(bomb, 1), Content_Encoding="deflate")


def statuses() -> Iterator[Answer]:
    """Refuse by the HTTP status."""
    for status in (400, 401, 403, 404, 410, 500, 502, 503, 504):
        yield plain(b"<h1>No</h1>", status=status)
    yield plain(b"", status=429, Retry_After="1")
    yield plain(b"", status=302, Location="/round-and-round")


def translated(tree: Tree) -> Tree:
    """Return the tree of another locale: all names are others."""
    return renamed(tree, len(tree))


def renamed(tree: Tree, number: int) -> Tree:
    """Return the tree with other names for so many of its categories."""
    others = list(tree)[:number]
    return tree | {id_: tree[id_] | {"local_name": f"Kategorie {id_}"} for id_ in others}


def of_version_1(tree: Tree) -> Tree:
    """Return the tree of the version with three levels: what is deeper is missing."""
    depths: dict[str, int] = {"0": 0}
    for id_, row in tree.items():
        depths[id_] = depths[row["parent_id"]] + 1
    return {id_: row for id_, row in tree.items() if depths[id_] <= 3}


def without_branch(tree: Tree) -> Tree:
    """Return the tree without its largest branch that leaves something."""
    children: dict[str, list[str]] = {}
    for id_, row in tree.items():
        children.setdefault(row["parent_id"], []).append(id_)

    def branch(id_: str) -> set[str]:
        return {id_}.union(*(branch(child) for child in children.get(id_, ())))

    gone = max((branch(id_) for id_ in children.get("0", ())), key=len)
    return {id_: row for id_, row in tree.items() if id_ not in gone}


def _with(tree: Tree, id_: str, **fields: Any) -> Answer:
    return _rows(row | fields if row["id"] == id_ else row for row in tree.values())


def _without_field(tree: Tree, id_: str, field: str) -> Iterator[dict[str, Any]]:
    for row in tree.values():
        yield {name: value for name, value in row.items() if row["id"] != id_ or name != field}


def _is_below(tree: Tree, id_: str, ancestor: str) -> bool:
    while id_ not in {"0", ancestor}:
        id_ = tree[id_]["parent_id"]
    return id_ == ancestor


def _rows(rows: Iterable[dict[str, Any]]) -> Answer:
    return plain(orjson.dumps({"code": 0, "message": "", "data": {"categories": list(rows)}}))


REFUSALS: Final = "an error code (all that are documented)"
Group = Callable[[Tree, random.Random], Iterable[Answer]]
GROUPS: Final[dict[str, Group]] = {
    REFUSALS: lambda _tree, _chance: refusals(),
    "an HTTP status, 4xx, 5xx, 429": lambda _tree, _chance: statuses(),
    "JSON that is cut anywhere": cut_short,
    "what is no tree (types, ids, parents, cycles)": lambda tree, _chance: no_trees(tree),
    "what is not JSON, or another form": lambda tree, _chance: no_json(tree),
    "a wrong encoding, or a decompression bomb": no_encodings,
    "an answer without end": lambda _tree, _chance: [endless(b" " * 65536, 0), endless(b" ", 0.1)],
}
"""By what the source answers with; none of it is a tree."""
