"""The suite: all that a projection has to pass."""

from tests.conformance.killing import Killed
from tests.conformance.outages import ThroughOutages
from tests.conformance.the_store import InAStore
from tests.conformance.the_stream import OnAStream


class Conformance(OnAStream, InAStore, ThroughOutages, Killed):
    """A projection that a class derived from this one names (see Subject) passes all of it."""
