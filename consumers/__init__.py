"""Follows the events of a catalog and keeps what was built from them right.

The data's way, one module a step: `stream` (Redis) → `event` (decode) → `strict` (does it
connect?) → `reader` (follow, resync, wait) → a projection (`mirror`, on `sql`). A consumer knows
the contract alone, as any stranger's would: nothing here imports `publisher`.
"""
