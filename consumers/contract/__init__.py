"""The contract as a consumer needs it: events, digest, snapshot, continuity. Pure.

Imports nothing of the consumers but `errors`.
"""
