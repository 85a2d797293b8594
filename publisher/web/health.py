"""Is this publisher ready? Asked by what decides whether it is restarted, and by people."""

from typing import Final

from plumbing.errors import RedisError
from publisher.polling.daemon import Daemon
from publisher.web.overview_cache import reached

NAMED: Final = 5
"""Late catalogs that are named; the rest is counted."""


async def not_ready(daemon: Daemon) -> list[str]:
    """Return a line for each reason why `daemon` does not do its work now; none if it does."""
    reasons = []
    if not daemon.ready.is_set():
        reasons.append("the leases were not looked at yet")
    if daemon.lease_error:
        reasons.append(f"the leases cannot be renewed: {daemon.lease_error}")
    try:
        await reached(daemon)
    except RedisError as error:
        reasons.append(str(error))
    if late := sorted(daemon.late()):
        more = ", …" if len(late) > NAMED else ""
        reasons.append(f"{len(late)} late polls: {', '.join(late[:NAMED])}{more}")
    return reasons
