"""The shapes of events and rows just as the contract has them (2, 3), types checked in C. Pure.

An event that is sound is made of its bytes by msgspec in 2 us, where `consumers.event` takes 9 to
make sure of its JSON field by field. What these shapes refuse, be it broken or only with a field
more than they know, is for that to judge, and to say what is wrong. A test holds the two against
each other.
"""

from typing import Annotated, Final, Literal, TypeVar

from msgspec import UNSET, Meta, MsgspecError, Struct, UnsetType
from msgspec.json import Decoder

T = TypeVar("T")

ESCAPE: Final = b"\\"
"""Looked for first, since there is hardly any, and one byte is found in no time."""
NUL: Final = rb"\u0000"
"""JSON has it in no other way; but text in which a backslash stands before it has no NUL."""

Text = Annotated[str, Meta(min_length=1)]


class Row(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A category."""

    id: Text
    parent_id: Text
    local_name: Text
    is_leaf: bool


class Data(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What an event says of its category."""

    category: Row
    digest: str
    before: Row | UnsetType = UNSET
    changed: list[str] | UnsetType = UNSET


class Document(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An event."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: Literal["category.added", "category.updated", "category.removed"]
    subject: str
    time: str
    dataschema: str
    epoch: str
    sequence: str
    data: Data
    datacontenttype: str = ""


DOCUMENTS: Final = Decoder(Document)
ROWS: Final = Decoder(Row)


def shaped(raw: bytes, decoder: Decoder[T]) -> T | None:
    """Return what `decoder` makes of `raw`; None if that may be something else, or nothing."""
    try:
        return None if ESCAPE in raw and NUL in raw else decoder.decode(raw)
    except (MsgspecError, UnicodeDecodeError):
        return None
