"""The names and types of a catalog's Redis keys (contract, 2): the only place that spells them.

`store`, `leases` and `overview` read and write these keys.
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
    """Return the key called `name` of `catalog`; the braces put all its keys into one slot."""
    return f"catalog:{{{catalog}}}:{name}"
