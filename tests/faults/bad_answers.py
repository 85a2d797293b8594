"""Answers of a source that must not reach the state, by what is wrong."""

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
"""All codes of docs/tiktok-shop-api.md, and one that it does not list."""
WRONG_VALUES: Final[tuple[Any, ...]] = (None, 7, 1.5, [], {}, "")
"""Values that no field of a category may have; an empty id, name or parent is wrong, too."""
MESSAGES: Final = (
    "invalid sign",
    "invalid timestamp",
    "invalid app_key",
    "access_token is invalid",
)
"""Messages of the code 36009004, which has another meaning with each of them."""
END_OF_AN_HOUR: Final = "Thu, 01 Jan 2026 00:59:59 GMT"
"""One second before the next hour, when a development shop may be asked again."""
MIB: Final = 1 << 20
BOMB_BYTES: Final = 200 * MIB
"""Size of a decompression bomb after decompression."""


def answer_with(body: bytes, *, status: int = 200, **headers: str) -> Answer:
    """Answer with `body` unchanged."""

    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, headers=named)

    return answer


def error_code(number: int, message: str = "no", *, status: int = 200) -> Answer:
    """Answer with an error code in the envelope."""
    envelope = {"code": number, "message": message, "request_id": "r", "data": None}
    return answer_with(orjson.dumps(envelope), status=status, Date=END_OF_AN_HOUR, Retry_After="1")


def error_codes() -> Iterator[Answer]:
    """Yield an answer with each error code of docs/tiktok-shop-api.md."""
    yield from (error_code(number) for number in CODES)
    yield error_code(105002, status=401)
    yield from (error_code(36009004, message) for message in MESSAGES)


def closed_early(body: bytes, length: int) -> Answer:
    """Announce `length` bytes, send `body`, and close the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (length, body))
        await asyncio.sleep(0.02)
        request.transport.close()
        return web.Response()

    return answer


def endless(piece: bytes, pause: float) -> Answer:
    """Answer without end; the client must stop reading."""

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
    """Yield the answer cut at any byte: complete by its length, or closed early."""
    body = encode(tree)
    for _ in range(12):
        at = rng.randrange(1, len(body))
        yield answer_with(body[:at])
        if body[at - 1 : at] != b"}":  # else that is a tree without some of its last leaves
            yield answer_with(body[:at] + b"]}}")
    for _ in range(3):
        yield closed_early(body[: rng.randrange(1, len(body))], len(body))


def invalid_trees(tree: Tree) -> Iterator[Answer]:
    """Yield lists that are not a tree of categories."""
    first, second, *_ = (id_ for id_, row in tree.items() if row["parent_id"] == "0")
    inner = next(row["parent_id"] for row in reversed(tree.values()) if row["parent_id"] != "0")
    for field in ("id", "parent_id", "local_name", "is_leaf"):
        for value in WRONG_VALUES:
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
    yield answer_with(encode(tree).replace(b'"Category 1"', b'"\\ud800"'))
    yield answer_with(
        encode(tree).replace(b'"categories":', b'"next_page_token":"x","categories":')
    )


def invalid_json(tree: Tree) -> Iterator[Answer]:
    """Yield bodies that are not JSON, or not of the documented form."""
    body = encode(tree)
    yield from (
        answer_with(b""),
        answer_with(b"null"),
        answer_with(b"{}"),
        answer_with(b"[]"),
        answer_with(b"0"),
        answer_with(b'""'),
    )
    yield answer_with(b"<html><body>502 Bad Gateway</body></html>", content_type="text/html")
    yield answer_with(b'{"code":"0","data":{"categories":[]}}')
    yield answer_with(b'{"code":0,"data":null}')
    yield answer_with(b'{"code":0,"data":{"categories":{}}}')
    yield answer_with(b'{"code":0,"data":{"categories":[null]}}')
    yield answer_with(body.replace(b"Category 1", b"Category \xff"))
    yield answer_with(body.decode().encode("utf-16"))
    yield answer_with(b"[" * 200_000)
    yield answer_with(b'{"code":' + b"9" * 5000 + b"}")
    yield answer_with(body + body)


def invalid_encodings(tree: Tree, rng: random.Random) -> Iterator[Answer]:
    """Yield bodies with a wrong encoding, or that inflate far beyond any limit.

    The bombs are a plausible next tree except for their size: a client without a limit would accept it.
    """
    body = encode(tree)
    yield answer_with(body, Content_Encoding="gzip")
    yield answer_with(gzip.compress(body)[:-20], Content_Encoding="gzip")
    yield answer_with(zlib.compress(body), Content_Encoding="deflate, gzip")
    bomb = encode(changed_tree(tree, rng)).ljust(BOMB_BYTES)
    yield answer_with(gzip.compress(bomb, 1), Content_Encoding="gzip")
    yield answer_with(zlib.compress(bomb, 1), Content_Encoding="deflate")


def http_errors() -> Iterator[Answer]:
    """Yield answers with HTTP error statuses."""
    for status in (400, 401, 403, 404, 410, 500, 502, 503, 504):
        yield answer_with(b"<h1>No</h1>", status=status)
    yield answer_with(b"", status=429, Retry_After="1")
    yield answer_with(b"", status=302, Location="/round-and-round")


def translated(tree: Tree) -> Tree:
    """Return the tree of another locale: all names are different."""
    return renamed(tree, len(tree))


def renamed(tree: Tree, number: int) -> Tree:
    """Return the tree with other names for so many of its categories."""
    others = list(tree)[:number]
    return tree | {id_: tree[id_] | {"local_name": f"Kategorie {id_}"} for id_ in others}


def with_three_levels(tree: Tree) -> Tree:
    """Return the tree without the categories below the third level."""
    depths: dict[str, int] = {"0": 0}
    for id_, row in tree.items():
        depths[id_] = depths[row["parent_id"]] + 1
    return {id_: row for id_, row in tree.items() if depths[id_] <= 3}


def without_branch(tree: Tree) -> Tree:
    """Return the tree without the largest branch below a root."""
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
    return answer_with(orjson.dumps({"code": 0, "message": "", "data": {"categories": list(rows)}}))


ERROR_CODES: Final = "an error code (all that are documented)"
Group = Callable[[Tree, random.Random], Iterable[Answer]]
GROUPS: Final[dict[str, Group]] = {
    ERROR_CODES: lambda _tree, _rng: error_codes(),
    "an HTTP status, 4xx, 5xx, 429": lambda _tree, _rng: http_errors(),
    "JSON that is cut anywhere": cut_short,
    "what is no tree (types, ids, parents, cycles)": lambda tree, _rng: invalid_trees(tree),
    "what is not JSON, or another form": lambda tree, _rng: invalid_json(tree),
    "a wrong encoding, or a decompression bomb": invalid_encodings,
    "an answer without end": lambda _tree, _rng: [endless(b" " * 65536, 0), endless(b" ", 0.1)],
}
"""Answers by name, none of which is a tree."""
