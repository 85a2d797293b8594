"""Faults that the sandbox answers with when told to: `KIND[=VALUE][@WHICH]`.

`WHICH` counts the requests for categories from 1: `3`, `2-4` or `5-`; without it every one is
meant. The same options give the same faults in the same places.
"""

import difflib
import re
from dataclasses import dataclass
from typing import Final, Self

from publisher.sandbox.errors import BadOption


@dataclass(frozen=True)
class Kind:
    """What a kind of fault does, and which numbers its value may have.

    `default` is the value of a SPEC without one; without a default it has to be given. Without
    `limits` there is no value at all.
    """

    meaning: str
    limits: tuple[int, int] | None = None
    default: str | None = None
    whole: bool = False
    word: str | None = None
    """A value that is no number."""

    @property
    def value_help(self) -> str:
        """What a value has to be, in words."""
        low, high = self.limits or (0, 0)
        number = f"a {'whole ' if self.whole else ''}number from {low} to {high}"
        return f"{number}, or {self.word}" if self.word else number

    @property
    def help(self) -> str:
        """What follows the kind's name in a list of kinds."""
        value = "" if self.limits is None else "=VALUE" if self.default is None else "[=VALUE]"
        default = f" (default: {self.default})" if self.default else ""
        return f"{value}: {self.meaning}{default}."

    def allows(self, value: str) -> bool:
        """Say whether `value` can be given."""
        if value == self.word:
            return True
        if self.limits is None or not re.fullmatch(r"\d{1,10}(\.\d{1,6})?", value, re.ASCII):
            return False
        low, high = self.limits
        return low <= float(value) <= high and not (self.whole and "." in value)


SECONDS: Final = (0, 3600)
KINDS: Final = {
    "code": Kind("refuse with this envelope code", (1, 999_999_999), whole=True),
    "http": Kind("answer with this HTTP status and a page of HTML", (200, 599), whole=True),
    "retry-after": Kind(
        "refuse with 429 and Retry-After: this many seconds, or a `date` two seconds ahead",
        (0, 999_999),
        default="1",
        whole=True,
        word="date",
    ),
    "inactive": Kind(
        "refuse as inactive what asks for the shop of this number, counted from 1",
        (1, 99),
        default="1",
        whole=True,
    ),
    "slow": Kind("wait so many seconds before the answer", SECONDS, default="5"),
    "drip": Kind("send the body in small pieces over so many seconds", SECONDS, default="5"),
    "cut": Kind("close the connection in the middle of the body"),
    "truncate": Kind("send half of the JSON as if it were all"),
    "branch": Kind("leave out a large branch; what is left is a valid tree"),
    "orphan": Kind("leave out one category in the middle, so that its children dangle"),
    "empty": Kind("send an empty list"),
    "null-data": Kind("send code 0 with data null"),
    "bomb": Kind("send gzip that inflates to so many MiB", (1, 4096), default="100", whole=True),
    "next-page": Kind("claim that there is a next page"),
}
SPEC: Final = re.compile(r"([^=@]*)(?:=([^@]*))?(?:@(.*))?", re.DOTALL)
WHICH: Final = re.compile(r"(\d{1,9})(-(\d{1,9})?)?", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """One fault. `value` is empty for kinds without one; `last` is None for ever."""

    kind: str
    value: str
    first: int = 1
    last: int | None = None

    @classmethod
    def parse(cls, spec: str) -> Self:
        """Return the fault that `spec` describes; BadOption says what is wrong with it."""
        kind, value, which = _parts(spec)
        return cls(kind, _value(spec, kind, value), *_range(spec, which))

    @property
    def number(self) -> float:
        """The value as a number: a code, a status, seconds or MiB."""
        return float(self.value)

    def hits(self, request: int) -> bool:
        """Say whether the categories request of this number is meant."""
        return self.first <= request and (self.last is None or request <= self.last)


def active(faults: list[Fault], request: int) -> dict[str, Fault]:
    """Return the faults of this request by kind; of one kind the last wins."""
    return {fault.kind: fault for fault in faults if fault.hits(request)}


def _parts(spec: str) -> tuple[str, str | None, str | None]:
    match = SPEC.fullmatch(spec)
    kind = match[1] if match else spec
    if not match or kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        guess = f" (did you mean {near[0]}?)" if near else ""
        raise BadOption(f"fault {spec!r}: unknown kind{guess}; there are {', '.join(KINDS)}")
    return kind, match[2], match[3]


def _value(spec: str, name: str, value: str | None) -> str:
    kind = KINDS[name]
    if kind.limits is None:
        if value is not None:
            raise BadOption(f"fault {spec!r}: {name} takes no value")
        return ""
    if value is None and kind.default is not None:
        return kind.default
    if value is None:
        raise BadOption(f"fault {spec!r}: {name} needs a value, {kind.value_help}: {name}=…")
    if not kind.allows(value):
        raise BadOption(f"fault {spec!r}: the value of {name} has to be {kind.value_help}")
    return value


def _range(spec: str, which: str | None) -> tuple[int, int | None]:
    if which is None:
        return 1, None
    match = WHICH.fullmatch(which)
    first = int(match[1]) if match else 0
    last = None if match and match[2] == "-" else int(match[3] or first) if match else 0
    if first < 1 or (last is not None and last < first):
        raise BadOption(
            f"fault {spec!r}: after @ comes which requests are meant, counted from 1: "
            "@3, @2-4 or @5-"
        )
    return first, last
