"""Makes the first shop and its fallback shops (`stand_ins`) one source.

All shops of a market have the same tree (contract, 2: another shop may take a catalog over). So a
shop that is inactive, or whose seller has withdrawn the authorization, need not stop the catalog.
Errors that any shop would have (network, rates, bad snapshots) do not switch to the next shop.

Once the first shop has failed, a transient error of a fallback shop ends the fetch. After any other
error the next fallback shop is asked: it may have an app and tokens of its own.
"""

from collections.abc import Sequence
from typing import Final

from plumbing import logs
from plumbing.edge_log import EdgeLog
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
    """Asks several shops in order; each fetch begins with the first shop."""

    def __init__(self, catalog: str, shops: Sequence[Source]) -> None:
        self._catalog = catalog
        self.shops = shops
        self._edge_log = EdgeLog(log)
        self.answering_shop: int | None = None
        """The index of the shop that answered last: 0 the first shop, 1 the first fallback."""

    async def fetch(self) -> Answer:
        """Return the answer of the first shop that can give one.

        Raises the first shop's error if another shop would have it too, a fallback shop's error if
        it is transient, and SourceError if no shop answers. The message has each shop's reason.
        """
        reasons: list[str] = []
        for index, shop in enumerate(self.shops):
            try:
                answer = await shop.fetch()
            except (SourceError, TokenError, BadSnapshot) as error:
                name = "first shop" if index == FIRST else f"fallback shop {index}"
                reasons.append(f"{name}: {error}")
                if _should_ask_next(index, error):
                    continue
                if index != FIRST:
                    error.args = ("; ".join(reasons),)  # its class and not_before stay
                raise
            if index == FIRST:
                self._edge_log.up("first shop answers again", catalog=self._catalog)
            else:
                self._edge_log.down(
                    "fallback shop answers",
                    cause=str(index),
                    catalog=self._catalog,
                    stand_in=index,
                    because=reasons,
                )
            self.answering_shop = index
            return answer
        raise SourceError(f"no shop of this market answers: {'; '.join(reasons)}")


def answering_shop(source: Source) -> int | None:
    """Return the index of the shop that answered last.

    None if no shop has answered yet, or if there are no fallback shops.
    """
    return source.answering_shop if isinstance(source, StandInSource) else None


def _should_ask_next(index: int, error: Error) -> bool:
    """Return whether to ask the next shop after `error` of the shop at `index`."""
    if index == FIRST:
        return isinstance(error, ShopClosed | NotAuthorized)
    is_transient = isinstance(error, Transient | RefreshUnderWay | BadSnapshot)
    return not is_transient and not getattr(error, "not_before", 0.0)
