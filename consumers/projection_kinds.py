"""The SQL projections of this program, by the kind in their checkpoints."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select

from consumers.history.projection import HistoryProjection
from consumers.mapping.projection import MapProjection
from consumers.sql.database import Database
from consumers.sql.mirror import Mirror
from consumers.sql.projection import VerifiableProjection
from consumers.sql.tables import checkpoints

KINDS: Final[Mapping[str, type[VerifiableProjection]]] = {
    each.kind: each for each in (Mirror, HistoryProjection, MapProjection)
}


async def stored_kinds(database: Database, catalog: str) -> list[str]:
    """Return the kinds of checkpoints of `catalog`, unknown ones too."""
    query = select(checkpoints.c.projection).where(checkpoints.c.catalog == catalog)
    async with database.reading() as connection:
        return sorted(await connection.scalars(query))
