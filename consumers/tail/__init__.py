"""Print the events of a catalog as they come.

Imports `following` and `contract`.
"""
