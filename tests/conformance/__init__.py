"""The conformance suite: every SQL projection passes it, on each database.

To test a new projection, add a class to `test_projections`.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"tests.conformance.{name}"
        for name in (
            "projection_under_test",
            "stream_tests",
            "store_tests",
            "outage_tests",
            "kill_tests",
        )
    )
)
