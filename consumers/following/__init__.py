"""Read a catalog's stream and state in Redis, and run a projection on them.

Imports `contract`.
"""
