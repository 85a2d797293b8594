"""What can go wrong with a poll. Each message says what happened, where, and what to do.

plumbing.errors.Error
├── SourceError         the source gave no answer; the next poll comes at its normal time
│   ├── Transient       worth another try within this poll (may say how long to wait)
│   │   └── Unreachable no connection came about, so nothing was sent
│   ├── TokenExpired    worth one refresh of the token and one more try
│   ├── RefreshUnderWay somebody else gets new tokens just now
│   └── ShopClosed      this shop answers no more until someone acts; another one may
├── TokenError          there is no usable token, and nothing here can get one
│   └── NotAuthorized   only the seller's authorization helps; or another shop's
├── BadSnapshot         an answer that is refused whole (contract, 6)
├── OriginChanged       another origin under the same catalog name (contract, 5.11)
├── Held                a snapshot is withheld (contract, 6); exit code 3
├── RaceLost            another publisher committed meanwhile (contract, 5.3)
├── NoHold              there is nothing to approve
├── NoState             the catalog has nothing that could be shown
├── WrongType           one of the catalog's keys holds something else
├── UnknownContract     another contract's publisher wrote the catalog
├── SchemasDiffer       the files under schemas/ are not what we would write
└── CopyDiffers         the demo's copy is not what the state is
"""

from typing import ClassVar

from plumbing.errors import Error


class SourceError(Error):
    """The source did not answer with a snapshot.

    `not_before`: seconds from now before which asking again is pointless, 0 if unknown.
    """

    def __init__(self, message: str, *, not_before: float = 0.0) -> None:
        super().__init__(message)
        self.not_before = not_before


class Transient(SourceError):
    """The same question may well be answered in a moment.

    `not_before` is what the source asked us to wait (`Retry-After`), 0 if it did not say.
    """


class Unreachable(Transient):
    """No connection came about, so the request was not sent."""


class TokenExpired(SourceError):
    """The source does not take the access token any more."""


class RefreshUnderWay(SourceError):
    """Another task, process or publisher gets and stores tokens just now."""


class ShopClosed(SourceError):
    """The shop, or its seller, is inactive, or does not belong to the tokens any more."""


class TokenError(Error):
    """There is no usable token."""


class NotAuthorized(TokenError):
    """The seller's authorization has ended, or was never given."""


class BadSnapshot(Error):
    """The answer is no complete, consistent tree; nothing of it is used."""


class OriginChanged(Error):
    """The configured origin is not the one that the catalog was published from."""


class Held(Error):
    """The snapshot's changes look implausible; someone has to approve them."""

    exit_code: ClassVar[int] = 3


class RaceLost(Error):
    """Another publisher has committed since this poll noted its position."""


class NoHold(Error):
    """There is no hold to approve."""


class NoState(Error):
    """The catalog has no state that could be shown."""


class SchemasDiffer(Error):
    """The files under schemas/ are not what `category-publisher schemas` writes."""


class CopyDiffers(Error):
    """The demo's SQLite copy does not reach, or does not equal, the state."""


class WrongType(Error):
    """A key of the catalog holds a value of another type than the contract's."""


class UnknownContract(Error):
    """The catalog's meta was written by a publisher of another contract."""
