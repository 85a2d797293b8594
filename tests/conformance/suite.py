"""All tests that a projection has to pass."""

from tests.conformance.kill_tests import KillTests
from tests.conformance.outage_tests import OutageTests
from tests.conformance.store_tests import StoreTests
from tests.conformance.stream_tests import StreamTests


class Conformance(StreamTests, StoreTests, OutageTests, KillTests):
    """Runs all tests on the projection that a derived class names."""
