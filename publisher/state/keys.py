"""The names and types of a catalog's keys in Redis (contract, 2), for the publisher.

`store`, `lease` and `overview` are what uses them, and `whole` names them; nothing else here does.
"""

from typing import Final

CATALOGS: Final = "catalogs"
"""The set of all catalogs' names, in a cluster in another slot than theirs."""
TYPES: Final = {
    "categories": "hash",
    "meta": "hash",
    "events": "stream",
    "status": "hash",
    "hold": "string",
    "lease": "string",
    "consumers": "hash",
}


def key(catalog: str, name: str) -> str:
    """Return the key called `name` of `catalog`; the braces put all of its into one slot."""
    return f"catalog:{{{catalog}}}:{name}"
