"""The Redis keys of a catalog: read the state, and commit changes in one step.

Imports `core`; only `commit.lua` writes state, events and meta.
"""
