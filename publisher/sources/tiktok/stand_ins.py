"""Several shops of one market behind one catalog: the next is asked when one answers no more.

A market's tree is the same whichever of its shops asks (contract, 2: another shop may take a
catalog over). So a shop that is inactive, or whose seller has withdrawn the authorization, need not
stop the catalog. Trouble that would meet any shop (network, rates, bad snapshots) does not switch.

Once the first shop is out, a stand-in that fails of something that does not pass is passed over
too, whatever it is: it may have an app and tokens of its own, and asking the next can only help.
"""

from collections.abc import Sequence
from typing import Final

from plumbing import logs
from plumbing.errors import Error
from publisher.errors import (
    BadSnapshot,
    NotAuthorized,
    RefreshUnderWay,
    ShopClosed,
    SourceError,
    TokenError,
    Transient,
)
from publisher.sources import Answer, Source

log = logs.logger(__name__)

FIRST: Final = 0


class StandInSource:
    """A source over the sources of several shops; the first is asked first at every fetch."""

    def __init__(self, catalog: str, shops: Sequence[Source]) -> None:
        self._catalog = catalog
        self.shops = shops
        self.answering_shop: int | None = None
        """The place of the shop that answered last: 0 the catalog's own, 1 the first stand-in."""

    async def fetch(self) -> Answer:
        """Return the answer of the first shop that can give one.

        Raises what the first shop raises if another could not do better; what a stand-in raises
        if that may pass; and SourceError if none can answer. Each shop's reason is in the text.
        """
        reasons: list[str] = []
        for place, shop in enumerate(self.shops):
            try:
                answer = await shop.fetch()
            except (SourceError, TokenError, BadSnapshot) as error:
                if not _is_passed_over(place, error):
                    raise _told(error, place, reasons) from error
                reasons.append(_reason(place, error))
            else:
                self._tell(place, reasons)
                return answer
        raise SourceError(f"no shop of this market answers: {'; '.join(reasons)}")

    def _tell(self, place: int, reasons: list[str]) -> None:
        """Tell that another shop answers than the last time."""
        if place != (self.answering_shop or FIRST):
            told = log.bind(catalog=self._catalog)
            if place == FIRST:
                told.info("first shop answers again")
            else:
                told.warning("stand-in answers", stand_in=place, because=reasons)
        self.answering_shop = place


def answering_shop(source: Source) -> int | None:
    """Return the place of the shop that answered last; None if none did, or there is but one."""
    return source.answering_shop if isinstance(source, StandInSource) else None


def _is_passed_over(place: int, error: Error) -> bool:
    """Tell whether the next shop is asked after `error` of the one at `place`."""
    if place == FIRST:
        return isinstance(error, ShopClosed | NotAuthorized)
    passes = isinstance(error, Transient | RefreshUnderWay | BadSnapshot)
    return not passes and not getattr(error, "not_before", 0.0)


def _told(error: Error, place: int, reasons: list[str]) -> Error:
    """Return `error` of the shop at `place`, with the `reasons` of those before it."""
    if not reasons:
        return error
    text = "; ".join([*reasons, _reason(place, error)])
    if isinstance(error, SourceError):
        return type(error)(text, not_before=error.not_before)
    return type(error)(text)


def _reason(place: int, error: Error) -> str:
    return f"{'first shop' if place == FIRST else f'stand-in {place}'}: {error}"
