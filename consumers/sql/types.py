"""Text as the contract means it: what differs in any byte is different."""

from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine


class Exact(TypeDecorator[str]):
    """Text compared byte by byte, blanks at its end included, in every database.

    `length`, in characters, matters to MySQL alone, which indexes no longer text than 3 kB.
    """

    impl = Text
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Name a collation where text would be compared without case, or without blanks."""
        if dialect.name != "mysql":
            return dialect.type_descriptor(Text())
        collation = "utf8mb4_nopad_bin" if dialect.is_mariadb else "utf8mb4_0900_bin"  # type: ignore[attr-defined]
        if self.length:
            return mysql.VARCHAR(self.length, charset="utf8mb4", collation=collation)
        return mysql.MEDIUMTEXT(charset="utf8mb4", collation=collation)
