"""What every SQL projection has to pass, on SQLite, PostgreSQL and MariaDB.

A new projection earns its place with a class in `test_projections`.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"tests.conformance.{name}" for name in ("kept", "the_stream", "the_store", "outages")),
    "tests.conformance.killing",
)
