"""One catalog's keys in Redis (contract, 2): state, events, meta, status, hold.

The state is read completely and checked against `meta`; only `commit.lua` changes it.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
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
from publisher.core.model import ROOT, Category, Hold, Tree, parse_object
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
"""The form of each field of a valid meta (contract, 2); besides, `origin` is a JSON object."""

POSITION_FIELDS: Final = [name.encode() for name in StoredPosition._fields]
MANY_ARGUMENTS: Final = 10_000
"""From here on the script is loaded before it is called. Otherwise a server that does not know it
yet would read all arguments in vain, 55 MB for a first import of 100,000 categories."""


class _Row(msgspec.Struct, gc=False):
    """A row as it is stored in the state, where somebody may have edited it.

    So unknown fields and empty texts are accepted, which no Category from a source has.
    """

    id: str
    parent_id: str
    local_name: str
    is_leaf: bool


_row: Final = msgspec.json.Decoder(_Row)


class PollStart(NamedTuple):
    """What a poll reads before it asks the source (contract, 5.3)."""

    stored_position: StoredPosition
    origin: dict[str, Any] | None
    """The origin that is stored in meta; None if it is not a JSON object."""


@dataclass(frozen=True)
class State:
    """A catalog's rows and its meta, as they were at one moment."""

    stored_position: StoredPosition
    tree: dict[str, Category]
    invalid_fields: list[bytes]
    """Fields of the hash that hold no valid row."""
    meta: dict[str, str]
    position: Position | None
    """None if there is no state yet, or if it is damaged (contract, 5.2).

    Damaged: meta is not valid, or does not have the digest and the count of the rows. Checked once
    when the state is read, so that a cached state does not have to be digested again.
    """

    @property
    def is_damaged(self) -> bool:
        """Whether something is stored that is not a valid state."""
        return self.position is None and bool(self.meta or self.tree or self.invalid_fields)


class Store:
    """Reads and writes one catalog's keys."""

    def __init__(self, client: Client, catalog: str) -> None:
        self.catalog = catalog
        self._client = client
        self._script = client.register_script(COMMIT_SCRIPT)

    def key(self, name: str) -> str:
        """Return the catalog's key called `name`."""
        return keys.key(self.catalog, name)

    async def register(self) -> None:
        """Add the catalog's name to the set of all catalogs. Raises WrongType."""
        async with self._naming_wrong_types():
            await self._client.sadd(keys.CATALOGS, self.catalog)

    async def read_position(self) -> PollStart:
        """Return the position and the origin that a poll starts from.

        Raises WrongType, or UnknownContract if a publisher of another contract wrote meta.
        """
        fields = ["epoch", "sequence", "digest", "origin", "contract"]
        async with self._naming_wrong_types():
            found = await self._client.hmget(self.key("meta"), fields)
        epoch, sequence, digest, origin, contract = (as_bytes(value) for value in found)
        if contract not in {b"", CONTRACT.encode()}:
            raise UnknownContract(
                f"{self.key('meta')} has contract {as_text(contract)!r}, but this publisher "
                f"writes contract {CONTRACT}: update it"
            )
        return PollStart(StoredPosition(epoch, sequence, digest), parse_object(origin))

    async def watch(self) -> KeyWatch | None:
        """Start to watch rows and meta; return None if the server does not support that."""
        return await KeyWatch.start(self._client, self.key("categories"), self.key("meta"))

    async def load(self) -> State:
        """Return all rows and meta, read at one moment. Raises WrongType."""
        async with self._naming_wrong_types(), self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self.key("categories"))
            pipe.hgetall(self.key("meta"))
            rows, raw_meta = await pipe.execute()
        stored = StoredPosition(*(raw_meta.get(name, b"") for name in POSITION_FIELDS))
        tree: dict[str, Category] = {}
        invalid_fields = []
        for field, value in rows.items():
            if category := _category(field, value):
                tree[category.id] = category
            else:
                invalid_fields.append(field)
        meta = as_texts(raw_meta)
        position = None if invalid_fields else _position(meta, tree)
        return State(stored, tree, invalid_fields, meta, position)

    async def commit(self, commit: Commit) -> Position:
        """Write all of `commit` in one step, or nothing; return the new position.

        Raises RaceLost if the catalog is not at the expected position any more, and WrongType.
        """
        written = [self.key(name) for name in ("categories", "meta", "events", "hold")]
        arguments = CommitArguments(self.catalog, commit)
        if len(arguments) > MANY_ARGUMENTS:
            await self._client.script_load(COMMIT_SCRIPT)
        all_arguments: list[Any] = [*arguments.header, arguments]
        reply = await self._script(keys=written, args=all_arguments)
        outcome, *details = (as_text(each) for each in reply)
        if outcome == "lost":
            expected = _format_position(as_text(each) for each in commit.expected)
            raise RaceLost(
                f"catalog {self.catalog}: another publisher has committed meanwhile (it is at "
                f"{_format_position(details)}, not {expected})"
            )
        if outcome == "wrongtype":
            raise _wrong_type(*details)
        return arguments.end  # correct now: all arguments were sent

    async def read_hold(self) -> Hold | None:
        """Return the hold, or None. Raises WrongType."""
        async with self._naming_wrong_types():
            found = await self._client.get(self.key("hold"))
        return None if found is None else Hold.from_json(found)

    async def write_hold(self, hold: Hold) -> None:
        """Write the hold."""
        await self._client.set(self.key("hold"), hold.to_json())

    async def delete_hold(self) -> None:
        """Delete the hold."""
        await self._client.delete(self.key("hold"))

    async def write_status(self, status: Mapping[str, str]) -> None:
        """Write the given fields of the last poll's status.

        The other fields keep their value; `succeeded_at` becomes empty if it does not exist.
        """
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self.key("status"), items=[each for pair in status.items() for each in pair])
            pipe.hsetnx(self.key("status"), "succeeded_at", "")
            await pipe.execute()

    @asynccontextmanager
    async def _naming_wrong_types(self) -> AsyncIterator[None]:
        """Raise a WrongType that names the key if a key holds a value of another type."""
        try:
            yield
        except redis.exceptions.ResponseError as error:
            if is_wrong_type(error):
                own = {self.key(name): wanted for name, wanted in keys.TYPES.items()}
                for key, wanted in {keys.CATALOGS: "set", **own}.items():
                    found = as_text(await self._client.type(key))
                    if found not in {"none", wanted}:
                        raise _wrong_type(key, found, wanted) from error
            raise


def _format_position(position: Iterable[str]) -> str:
    """Return a position as in an event's id; "nothing" if there is no meta yet."""
    return "-".join(position).strip("-") or "nothing"


def _wrong_type(key: str, found: str, wanted: str) -> WrongType:
    return WrongType(
        f"Redis key {key} holds a {found} where the contract has a {wanted}: something else "
        "writes there; rename or delete that key"
    )


def _category(field: bytes, value: bytes) -> Category | None:
    """Return the category in a row of the state; None if the row is not valid."""
    try:
        row = _row.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    is_valid = row.id.encode() == field and row.id not in {"", ROOT}
    return Category(row.id, row.parent_id, row.local_name, row.is_leaf) if is_valid else None


def _position(meta: Mapping[str, str], tree: Tree) -> Position | None:
    """Return the position in `meta`; None unless it is valid and fits `tree`."""
    is_valid = (
        all(form.fullmatch(meta.get(field, "")) for field, form in META_FORMS.items())
        and parse_object(meta.get("origin")) is not None
        and int(meta["count"]) == len(tree)
    )
    if not is_valid:
        return None
    position = Position(meta["epoch"], int(meta["sequence"]), int(meta["digest"], 16))
    return position if position.digest == digests.of(tree.values()) else None
