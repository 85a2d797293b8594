"""Faults that the sandbox answers with on request: `KIND[=VALUE][@WHICH]`.

`WHICH` counts the requests for categories from 1: `3`, `2-4` or `5-`. Without it the fault applies
to every request. The same options give the same faults in the same places.
"""

import difflib
import re
from dataclasses import dataclass
from typing import Final, Self

from publisher.sandbox.errors import BadOption


@dataclass(frozen=True)
class FaultKind:
    """What a kind of fault does, and which numbers its value may have.

    `default` is the value of a SPEC without one; without a default a value is required. A kind
    without `limits` takes no value.
    """

    meaning: str
    limits: tuple[int, int] | None = None
    default: str | None = None
    is_integer: bool = True
    keyword: str | None = None
    """A word that is allowed instead of a number."""

    @property
    def value_help(self) -> str:
        """The description of an allowed value."""
        low, high = self.limits or (0, 0)
        number = f"a {'whole ' if self.is_integer else ''}number from {low} to {high}"
        return f"{number}, or {self.keyword}" if self.keyword else number

    @property
    def help(self) -> str:
        """The text after the kind's name in a list of kinds."""
        value = "" if self.limits is None else "=VALUE" if self.default is None else "[=VALUE]"
        default = f" (default: {self.default})" if self.default else ""
        return f"{value}: {self.meaning}{default}."

    def allows(self, value: str) -> bool:
        """Return whether `value` may be given."""
        if value == self.keyword:
            return True
        if self.limits is None or not re.fullmatch(r"\d{1,10}(\.\d{1,6})?", value, re.ASCII):
            return False
        low, high = self.limits
        return low <= float(value) <= high and not (self.is_integer and "." in value)


SECONDS: Final = (0, 3600)
KINDS: Final = {
    "code": FaultKind("reject with this envelope code", (1, 999_999_999)),
    "http": FaultKind("answer with this HTTP status and an HTML page", (200, 599)),
    "retry-after": FaultKind(
        "reject with 429 and Retry-After: this many seconds, or a `date` two seconds ahead",
        (0, 999_999),
        "1",
        keyword="date",
    ),
    "inactive": FaultKind(
        "reject requests for the shop of this number, counted from 1, as inactive", (1, 99), "1"
    ),
    "slow": FaultKind("wait this many seconds before the answer", SECONDS, "5", is_integer=False),
    "drip": FaultKind(
        "send the body in small pieces over this many seconds", SECONDS, "5", is_integer=False
    ),
    "cut": FaultKind("close the connection in the middle of the body"),
    "truncate": FaultKind("send half of the JSON as if it were complete"),
    "branch": FaultKind("leave out a large branch; the rest is a valid tree"),
    "orphan": FaultKind("leave out a category in the middle, so that its children have no parent"),
    "empty": FaultKind("send an empty list"),
    "null-data": FaultKind("send code 0 with data null"),
    "bomb": FaultKind("send gzip that inflates to this many MiB", (1, 4096), "100"),
    "next-page": FaultKind("claim that there is a next page"),
}
WHICH: Final = re.compile(r"(?P<first>\d{1,9})((?P<dash>-)(?P<last>\d{1,9})?)?", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """One fault: its kind, value and requests.

    `value` is empty for kinds without one; a `last` of None means no end.
    """

    kind: str
    value: str
    first: int = 1
    last: int | None = None

    @classmethod
    def parse(cls, spec: str) -> Self:
        """Return the fault that `spec` describes. Raises BadOption if there is none."""
        kind_and_value, at, which = spec.partition("@")
        kind, equals, value = kind_and_value.partition("=")
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            raise BadOption(f"fault {spec!r}: unknown kind{guess}; there are {', '.join(KINDS)}")
        parsed = _parse_value(spec, kind, value if equals else None)
        return cls(kind, parsed, *_parse_range(spec, which)) if at else cls(kind, parsed)

    @property
    def number(self) -> float:
        """The value as a number: a code, a status, a shop's number, seconds or MiB."""
        return float(self.value)


def active_faults(faults: list[Fault], request: int) -> dict[str, Fault]:
    """Return the faults of this categories request by kind; the last of a kind wins."""
    return {
        fault.kind: fault
        for fault in faults
        if fault.first <= request and (fault.last is None or request <= fault.last)
    }


def _parse_value(spec: str, name: str, value: str | None) -> str:
    kind = KINDS[name]
    default = "" if kind.limits is None else kind.default
    if value is None and default is not None:
        return default
    if kind.limits is None:
        raise BadOption(f"fault {spec!r}: {name} takes no value")
    if value is None:
        raise BadOption(f"fault {spec!r}: {name} needs a value, {kind.value_help}: {name}=…")
    if not kind.allows(value):
        raise BadOption(f"fault {spec!r}: the value of {name} has to be {kind.value_help}")
    return value


def _parse_range(spec: str, which: str) -> tuple[int, int | None]:
    """Return the first and the last request of `which`; the last is None for no end."""
    if match := WHICH.fullmatch(which):
        first = int(match["first"])
        last: int | None = first
        if match["last"]:  # "2-4"
            last = int(match["last"])
        elif match["dash"]:  # "5-"
            last = None
        if first >= 1 and (last is None or last >= first):
            return first, last
    raise BadOption(
        f"fault {spec!r}: write the numbers of the requests after @, counted from 1: "
        "@3, @2-4 or @5-"
    )
