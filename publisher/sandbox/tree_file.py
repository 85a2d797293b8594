"""Trees in files: the API's JSON envelope, or a bare list of categories."""

from pathlib import Path
from typing import Any, Final

import orjson

from publisher.sandbox.errors import BadOption
from publisher.sandbox.tree import Row

FIELDS: Final = {"id": str, "parent_id": str, "local_name": str, "is_leaf": bool}


def read_tree(path: Path) -> list[Row]:
    """Read a tree from a file, whether it is a valid tree or not.

    Raises BadOption if the file cannot be read, is neither, or a row lacks one of the four fields.
    """
    if path.exists() and not path.is_file():
        raise BadOption(f"tree {path}: is no file")
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadOption(f"tree {path}: no such file") from None
    except OSError as error:
        raise BadOption(f"tree {path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise BadOption(f"tree {path}: is not JSON: {error}") from None
    return [_row(path, number, row) for number, row in enumerate(_rows(path, found), 1)]


def _rows(path: Path, found: Any) -> list[Any]:
    if isinstance(found, dict) and isinstance(found.get("data"), dict):
        found = found["data"].get("categories")
    if not isinstance(found, list):
        raise BadOption(
            f"tree {path}: is neither a list of categories nor an envelope with data.categories"
        )
    return found


def _row(path: Path, number: int, row: Any) -> Row:
    for name, kind in FIELDS.items():
        if not isinstance(row, dict) or not isinstance(row.get(name), kind):
            wanted = "true or false" if kind is bool else "text"
            raise BadOption(f"tree {path}: category {number}: {name} has to be {wanted}")
    return Row(*(row[name] for name in FIELDS))
