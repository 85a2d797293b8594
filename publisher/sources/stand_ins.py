"""Several shops of one market behind one catalog: the next is asked when one answers no more.

A market's tree is the same whichever of its shops asks (contract, 2: another shop may take a
catalog over). So a shop that is inactive, or whose seller has withdrawn the authorization, need not
stop the catalog. Trouble that would meet any shop (network, rates, bad snapshots) does not switch.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from publisher.errors import NotAuthorized, ShopClosed, SourceError
from publisher.sources import Answer, Source

log = structlog.get_logger(__name__)

FIRST: Final = 0


class StandIns:
    """A source over the sources of several shops; the first is asked first at every fetch."""

    def __init__(self, catalog: str, shops: Sequence[Source]) -> None:
        self._catalog = catalog
        self._shops = shops
        self.answering = FIRST
        """The place of the shop that answered last: 0 the catalog's own, 1 the first stand-in."""

    async def fetch(self) -> Answer:
        """Return the answer of the first shop that can give one.

        Raises what a shop raises if another could not do better, and SourceError with each shop's
        reason if none can answer.
        """
        reasons: list[str] = []
        for place, shop in enumerate(self._shops):
            try:
                answer = await shop.fetch()
            except (ShopClosed, NotAuthorized) as error:
                reasons.append(f"{_name(place)}: {error}")
            else:
                self._tell(place, reasons)
                return answer
        raise SourceError(f"no shop of this market answers: {'; '.join(reasons)}")

    def _tell(self, place: int, reasons: list[str]) -> None:
        """Tell that another shop answers than the last time."""
        if place != self.answering:
            told = log.bind(catalog=self._catalog)
            if place == FIRST:
                told.info("first shop answers again")
            else:
                told.warning("stand-in answers", stand_in=place, because=reasons)
        self.answering = place


def answering(source: Source) -> int:
    """Return the place of the shop that answered last; 0 for a source without stand-ins."""
    return source.answering if isinstance(source, StandIns) else FIRST


def _name(place: int) -> str:
    return "first shop" if place == FIRST else f"stand-in {place}"
