"""One catalog's keys in Redis (contract, 2): read, commit, hold, tell.

The state is read whole and checked against `meta`; it is changed only by `commit.lua`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec
import redis.exceptions

from plumbing.redis.error_advice import is_wrong_type
from plumbing.redis.replies import as_bytes, as_text, as_texts
from plumbing.redis.server import Client
from publisher.core import digest as digests
from publisher.core.event import Position
from publisher.core.model import ROOT, Category, Hold, Origin, Tree
from publisher.errors import RaceLost, UnknownContract, WrongType
from publisher.state import keys
from publisher.state.commit import CONTRACT, Commit, CommitArguments, StoredPosition
from publisher.state.key_watch import KeyWatch

COMMIT_SCRIPT: Final = files("publisher.state").joinpath("commit.lua").read_text("utf-8")
META_FORMS: Final = {
    "contract": re.compile(CONTRACT),
    "epoch": re.compile(r"[0-9a-f]{8}"),
    "sequence": re.compile(r"0|[1-9][0-9]{0,18}"),
    "offset": re.compile(r"[0-9]+-[0-9]+"),
    "digest": re.compile(r"[0-9a-f]{16}"),
    "count": re.compile(r"0|[1-9][0-9]{0,6}"),
    "committed_at": re.compile(r".+"),
}
"""What each field of a whole meta looks like (contract, 2); `origin` is an object besides."""

MANY_WORDS: Final = 10_000
"""So many are not sent to find out that the server does not know the script, and then again: a
first import meets a server that has seen none, and its words are 55 MB for 100,000 categories."""


class _Row(msgspec.Struct, gc=False):
    """A row as it stands in the state, where somebody may have edited it.

    So it is taken with more fields, or with an empty text, which no source's Category has.
    """

    id: str
    parent_id: str
    local_name: str
    is_leaf: bool


_row: Final = msgspec.json.Decoder(_Row)


class PollStart(NamedTuple):
    """What a poll notes before it asks the source; `origin` is None if meta has no readable one."""

    stored_position: StoredPosition
    origin: Origin | None


@dataclass(frozen=True)
class State:
    """A catalog's rows and its meta, as they stood at one moment."""

    stored_position: StoredPosition
    tree: dict[str, Category]
    invalid_fields: list[bytes]
    """Fields of the hash that hold no row of the contract."""
    meta: dict[str, str]
    position: Position | None
    """Where the state is; None if there is none yet, or it is damaged (contract, 5.2).

    Damaged: meta is not whole, or has not the digest and the count of the rows. Found when it is
    read, so that the same state with its tree in another order need not be digested again.
    """

    @property
    def damaged(self) -> bool:
        """Whether there is something, but no state that consumers could take."""
        return self.position is None and bool(self.meta or self.tree or self.invalid_fields)


class Store:
    """One catalog's keys."""

    def __init__(self, client: Client, catalog: str) -> None:
        self.catalog = catalog
        self._client = client
        self._script = client.register_script(COMMIT_SCRIPT)

    def key(self, name: str) -> str:
        """Return the catalog's key called `name`."""
        return keys.key(self.catalog, name)

    async def register(self) -> None:
        """Add the catalog's name to the set of all catalogs. Raises WrongType."""
        try:
            await self._client.sadd(keys.CATALOGS, self.catalog)
        except redis.exceptions.ResponseError as error:
            raise await self._explained(error) from error

    async def read_position(self) -> PollStart:
        """Return the position and the origin that a poll starts from.

        Raises WrongType, UnknownContract.
        """
        fields = ["epoch", "sequence", "digest", "origin", "contract"]
        try:
            found = await self._client.hmget(self.key("meta"), fields)
        except redis.exceptions.ResponseError as error:
            raise await self._explained(error) from error
        epoch, sequence, digest, origin, contract = (as_bytes(value) for value in found)
        if contract not in {b"", CONTRACT.encode()}:
            raise UnknownContract(
                f"{self.key('meta')} says contract {as_text(contract)!r}, but this publisher "
                f"writes contract {CONTRACT}: update it"
            )
        return PollStart(StoredPosition(epoch, sequence, digest), Origin.from_json(origin))

    async def watch(self) -> KeyWatch | None:
        """Begin to watch over rows and meta; None where the server cannot do that."""
        return await KeyWatch.start(self._client, self.key("categories"), self.key("meta"))

    async def load(self) -> State:
        """Return all rows together with meta, read at one moment. Raises WrongType."""
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hgetall(self.key("categories"))
                pipe.hgetall(self.key("meta"))
                rows, raw_meta = await pipe.execute()
        except redis.exceptions.ResponseError as error:
            raise await self._explained(error) from error
        stored = StoredPosition(
            *(raw_meta.get(field.encode(), b"") for field in StoredPosition._fields)
        )
        tree: dict[str, Category] = {}
        invalid_fields = []
        for field, value in rows.items():
            category = _category(field, value)
            if category is None:
                invalid_fields.append(field)
            else:
                tree[category.id] = category
        meta = as_texts(raw_meta)
        position = None if invalid_fields else _position(meta, tree)
        return State(stored, tree, invalid_fields, meta, position)

    async def commit(self, commit: Commit) -> Position:
        """Write `commit` in one step, or nothing of it; return where the catalog is now.

        Raises RaceLost if the catalog is not at the expected position any more, WrongType.
        """
        written = [self.key(name) for name in ("categories", "meta", "events", "hold")]
        words = CommitArguments(self.catalog, commit)
        arguments: list[Any] = [*words.header, words]
        if len(words) > MANY_WORDS:
            await self._client.script_load(COMMIT_SCRIPT)
        reply = await self._script(keys=written, args=arguments)
        verdict, *details = (as_text(word) for word in reply)
        if verdict == "lost":
            raise RaceLost(
                f"catalog {self.catalog}: another publisher has committed meanwhile (it is at "
                f"{_format_position(details)}, "
                f"not {_format_position(map(as_text, commit.expected))})"
            )
        if verdict == "wrongtype":
            raise _wrong_type(*details)
        return words.end

    async def read_hold(self) -> Hold | None:
        """Return the hold, or None."""
        try:
            found = await self._client.get(self.key("hold"))
        except redis.exceptions.ResponseError as error:
            raise await self._explained(error) from error
        return None if found is None else Hold.from_json(found)

    async def write_hold(self, hold: Hold) -> None:
        """Write the hold."""
        await self._client.set(self.key("hold"), hold.to_json())

    async def delete_hold(self) -> None:
        """Delete the hold."""
        await self._client.delete(self.key("hold"))

    async def write_status(self, status: Mapping[str, str]) -> None:
        """Write the fields of the last poll's status; those not given keep their value, or ""."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self.key("status"), items=[word for pair in status.items() for word in pair])
            pipe.hsetnx(self.key("status"), "succeeded_at", "")
            await pipe.execute()

    async def _explained(self, error: redis.exceptions.ResponseError) -> Exception:
        """Return a WrongType that names the key where that is what `error` means."""
        if is_wrong_type(error):
            own = {self.key(name): wanted for name, wanted in keys.TYPES.items()}
            for key, wanted in {keys.CATALOGS: "set", **own}.items():
                found = as_text(await self._client.type(key))
                if found not in {"none", wanted}:
                    return _wrong_type(key, found, wanted)
        return error


def _format_position(position: Iterable[str]) -> str:
    """Return a position as messages have it: as an event's id, or that there was no meta yet."""
    return "-".join(position).strip("-") or "nothing"


def _wrong_type(key: str, found: str, wanted: str) -> WrongType:
    return WrongType(
        f"Redis key {key} holds a {found} where the contract has a {wanted}: something else "
        "writes there; rename or delete that key"
    )


def _category(field: bytes, value: bytes) -> Category | None:
    try:
        row = _row.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    is_sound = row.id.encode() == field and row.id not in {"", ROOT}
    return Category(row.id, row.parent_id, row.local_name, row.is_leaf) if is_sound else None


def _position(meta: Mapping[str, str], tree: Tree) -> Position | None:
    """Return where `meta` says that the state is, if it has the count and digest of `tree`."""
    if not _is_whole(meta) or int(meta["count"]) != len(tree):
        return None
    position = Position(meta["epoch"], int(meta["sequence"]), int(meta["digest"], 16))
    return position if position.digest == digests.of(tree.values()) else None


def _is_whole(meta: Mapping[str, str]) -> bool:
    forms = (form.fullmatch(meta.get(field, "")) for field, form in META_FORMS.items())
    return all(forms) and Origin.from_json(meta.get("origin", "")) is not None
