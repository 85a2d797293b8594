"""What is known of every catalog, what is wrong with it, and how that is shown.

Reads Redis and never writes. Imports `core` and `state`.
"""
