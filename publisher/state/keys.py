"""The names and types of a catalog's Redis keys (contract, 2).

No other module of the publisher builds the full keys. Others use `key` and these names.
"""

from typing import Final

CATALOGS: Final = "catalogs"
"""The set of all catalogs' names; in a cluster it is in another slot than their keys."""
TYPES: Final = {
    "categories": "hash",
    "meta": "hash",
    "events": "stream",
    "status": "hash",
    "hold": "string",
    "lease": "string",
    "consumers": "hash",
}
"""The Redis type of each key of a catalog, by the key's name."""


def key(catalog: str, name: str) -> str:
    """Return a catalog's key; the braces put all its keys into one cluster slot."""
    return f"catalog:{{{catalog}}}:{name}"
