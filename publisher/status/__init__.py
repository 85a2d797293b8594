"""Reports on catalogs: what Redis holds, what is wrong, how it is shown.

Reads Redis and never writes. May import `core`, `state` and `errors`.
"""
