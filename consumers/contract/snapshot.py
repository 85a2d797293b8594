"""Decodes a state: `meta`, and the rows that it describes (contract, 2). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from consumers.contract import digest
from consumers.contract.event import MALFORMED, TIME, decode_category
from consumers.contract.model import Category, Rows, format_position
from consumers.errors import BadEntry

CONTRACT: Final = "1"
FIELDS: Final = ("epoch", "sequence", "digest", "count", "offset", "committed_at")
FORM: Final = re.compile(
    r"[0-9a-f]{8}/[0-9]{1,20}/[0-9a-f]{16}/[0-9]{1,7}/[0-9]+-[0-9]+/" + TIME.pattern
)
"""The format of FIELDS, joined with slashes."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The description of a state, from the hash `meta`."""

    epoch: str
    sequence: int
    digest: str
    count: int
    offset: str
    committed_at: str

    @property
    def position(self) -> str:
        """The state's position, formatted like an event's id."""
        return format_position(self.epoch, self.sequence, self.digest)


def decode_meta(raw: Mapping[bytes, bytes]) -> Meta:
    """Return the content of the hash `meta`.

    Raises BadEntry if it does not follow the contract, or if it describes an empty state, because
    no publisher commits one.
    """
    texts = {key.decode(errors="replace"): raw[key].decode(errors="replace") for key in raw}
    contract = texts.get("contract")
    if contract != CONTRACT:
        raise BadEntry(f"its contract is {contract}, but this consumer knows only {CONTRACT}")
    values = [texts.get(field, "") for field in FIELDS]
    if not FORM.fullmatch("/".join(values)):
        raise BadEntry(f"one of {', '.join(FIELDS)} is missing or malformed")
    epoch, sequence, digest_, count, offset, committed_at = values
    if int(count) == 0:
        raise BadEntry("its count is 0, but no publisher commits an empty state")
    return Meta(epoch, int(sequence), digest_, int(count), offset, committed_at)


def decode_rows(rows: Mapping[bytes, bytes], meta: Meta) -> Rows:
    """Return the categories in the hash `rows`; BadEntry if they do not fit `meta`."""
    decoded: dict[str, Category] = {}
    for id_, row in rows.items():
        try:
            category = decode_category(row)
        except MALFORMED as error:
            raise BadEntry(f"the row of {id_!r} is not a category: {error}") from error
        if category.id.encode() != id_:
            raise BadEntry(f"the row of {id_!r} is that of {category.id!r}")
        decoded[category.id] = category
    if len(decoded) != meta.count:
        raise BadEntry(f"there are {len(decoded)} categories, but meta says {meta.count}")
    found = digest.of_state(decoded.values())
    if found != meta.digest:
        raise BadEntry(f"the rows have digest {found}, but meta says {meta.digest}")
    return decoded
