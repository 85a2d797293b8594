"""Follows the events of catalogs and keeps projections of them in sync.

Data flow: `following.catalog_client` (reads Redis) → `contract.event` (decodes) →
`contract.continuity` (do the events connect?) → `following.reader` (apply, resync or wait) → a
projection, such as `sql.mirror`. Nothing here imports `publisher`: like any other service, a
consumer knows only the contract.
"""
