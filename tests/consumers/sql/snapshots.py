"""Snapshots, and checkpoints that fit them."""

from typing import Any

from consumers.contract import digest
from consumers.contract.model import Category, Checkpoint, Snapshot
from tests.consumers.pretend_publisher import TIME


def snapshot(*rows: dict[str, Any]) -> Snapshot:
    """Return the snapshot of `rows`."""
    return Snapshot({one["id"]: Category(**one) for one in rows}, TIME)


def checkpoint_of(state: Snapshot, sequence: int = 7) -> Checkpoint:
    """Return a checkpoint with the digest of `state`."""
    return Checkpoint("9f3c1a2b", sequence, f"{sequence}-0", digest.of_state(state.rows.values()))
