"""What a catalog was at any moment: each version of each category, and from when to when.

`version` says which versions events and resyncs make (pure), `tables` where they are kept,
`projection` keeps them in step, `moments` finds a moment in the record and `query` tells what was
then, and what changed since. docs/history.md describes the tables for who queries them in SQL.
"""
