"""The errors of a poll. Each message says what happened, where, and what to do.

plumbing.errors.Error
├── SourceError         the source returned no snapshot; the next poll comes as usual, or later
│   ├── Transient       worth a retry within this poll (may say how long to wait)
│   │   └── Unreachable there was no connection, so nothing was sent
│   ├── TokenExpired    worth one refresh of the token and one retry
│   ├── RefreshUnderWay another task, process or publisher is refreshing the tokens
│   └── ShopClosed      this shop does not answer until someone acts; a fallback shop may answer
├── TokenError          there is no usable token, and the publisher cannot get one
│   └── NotAuthorized   the seller has to authorize again; a fallback shop may answer
├── BadSnapshot         the answer is rejected entirely (contract, 6)
├── OriginChanged       another origin under the same catalog name (contract, 5.11)
├── Held                the source returns another snapshot than the approved one; exit code 3
├── RaceLost            another publisher has committed meanwhile (contract, 5.3)
├── NoHold              there is nothing to approve
├── NoState             the catalog has no state to export
├── WrongType           one of the catalog's keys has another type
├── UnknownContract     the catalog was written under another version of the contract
├── SchemasDiffer       the files under schemas/ are not what `schemas` writes
└── CopyDiffers         the demo's copy is not equal to the state
"""

from typing import ClassVar

from plumbing.errors import Error


class SourceError(Error):
    """The source returned no snapshot.

    `not_before`: seconds from now before which a retry cannot succeed, 0 if unknown.
    """

    def __init__(self, message: str, *, not_before: float = 0.0) -> None:
        super().__init__(message)
        self.not_before = not_before


class Transient(SourceError):
    """The same request may succeed in a moment.

    `not_before` is the wait that the source asked for (`Retry-After`), 0 if it asked for none.
    """


class Unreachable(Transient):
    """There was no connection, so the request was not sent."""


class TokenExpired(SourceError):
    """The source does not accept the access token any more."""


class RefreshUnderWay(SourceError):
    """Another task, process or publisher is refreshing the tokens."""


class ShopClosed(SourceError):
    """The shop or its seller is inactive, or the tokens are for another shop now."""


class TokenError(Error):
    """There is no usable token."""


class NotAuthorized(TokenError):
    """The seller's authorization has expired, or was never given."""


class BadSnapshot(Error):
    """The answer is not a complete and consistent tree; it is rejected entirely."""


class OriginChanged(Error):
    """The configured origin is not the one that the catalog was published from."""


class Held(Error):
    """The source does not return the approved snapshot any more (contract, 6)."""

    exit_code: ClassVar[int] = 3


class RaceLost(Error):
    """Another publisher has committed since this poll read its position."""


class NoHold(Error):
    """There is no hold to approve."""


class NoState(Error):
    """The catalog has no state to export."""


class SchemasDiffer(Error):
    """The files under schemas/ are not what `category-publisher schemas` writes."""


class CopyDiffers(Error):
    """The demo's SQLite copy does not reach the state, or is not equal to it."""


class WrongType(Error):
    """A key of the catalog has another type than in the contract."""


class UnknownContract(Error):
    """The catalog's meta was written under another version of the contract."""
