"""The public names for a consumer of your own (docs/writing-a-consumer.md).

Everything else in this package may change between releases; these names stay.
"""

from consumers.contract.model import Category, Checkpoint, Event, Rows, Snapshot
from consumers.errors import BadEntry, CheckpointConflict, NoState, StoreError, StoreUnavailable
from consumers.following.catalog_client import CatalogClient, open_catalog
from consumers.following.projection import Projection
from consumers.following.reader import Apply, Reader, Reset, Step
from consumers.following.runner import follow, run_projection
from consumers.script import run
from consumers.sql.database import Database, open_database
from consumers.sql.projection import SqlProjection, VerifiableProjection
from consumers.sql.tables import ID, NAME, ExactText, metadata

__all__ = [
    "ID",
    "NAME",
    "Apply",
    "BadEntry",
    "CatalogClient",
    "Category",
    "Checkpoint",
    "CheckpointConflict",
    "Database",
    "Event",
    "ExactText",
    "NoState",
    "Projection",
    "Reader",
    "Reset",
    "Rows",
    "Snapshot",
    "SqlProjection",
    "Step",
    "StoreError",
    "StoreUnavailable",
    "VerifiableProjection",
    "follow",
    "metadata",
    "open_catalog",
    "open_database",
    "run",
    "run_projection",
]
