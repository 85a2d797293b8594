"""Notifies systemd of start, life, reload and stop of the daemon (sd_notify(3)).

Each message is one datagram to the Unix socket that `NOTIFY_SOCKET` names; without that variable
nothing is sent. The protocol is a line of text, and its one library, `sdnotify`, has had no release
since 2017: hence our own code. A message that cannot be sent never ends the daemon. systemd
itself decides what follows, for example a restart after `WatchdogSec`.
"""

import asyncio
import os
import socket
import time
from typing import Final, Self

from plumbing import logs
from plumbing.edge_log import EdgeLog
from plumbing.errors import ConfigError

log = logs.logger(__name__)

SEND_SECONDS: Final = 1.0
"""How long a send waits for room in systemd's queue. The event loop is blocked meanwhile."""


class SystemdNotifier:
    """Sends the daemon's state to systemd, if there is one."""

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        """Send to `address`, a path or `@name` (abstract); None sends nothing."""
        self._address = address
        self._watchdog_seconds = watchdog_seconds
        self._edge = EdgeLog(log)

    @classmethod
    def from_environment(cls) -> Self:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Raises ConfigError."""
        address = os.environ.get("NOTIFY_SOCKET") or None
        usec, process = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
        if not usec or process not in {None, "", str(os.getpid())}:
            return cls(address)  # the watchdog is not for this process (sd_watchdog_enabled(3))
        if not (usec.isdecimal() and int(usec)):
            raise ConfigError(
                f"environment: WATCHDOG_USEC {usec!r} is not a number of microseconds"
            )
        return cls(address, int(usec) / 1_000_000)

    def ready(self) -> None:
        """Report that the start, or a reload, is done."""
        self._notify("READY=1")

    def reloading(self) -> None:
        """Report the start of a reload. Call `ready` at its end, also if it failed."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Report that the daemon is about to end."""
        self._notify("STOPPING=1")

    async def watchdog(self) -> None:
        """Send a ping twice per watchdog interval, until cancelled.

        Return if there is no interval. The event loop sends it, so that systemd finds out if the
        loop is blocked.
        """
        if self._address is None or self._watchdog_seconds is None:
            return
        while True:
            self._notify("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_seconds / 2)

    def _notify(self, message: str) -> None:
        if self._address is None:
            return
        try:
            if self._address[0] not in "/@":
                raise OSError(f"NOTIFY_SOCKET {self._address!r} is not a Unix socket")  # noqa: TRY301
            name = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_SECONDS)
                sender.connect(name)
                sender.sendall(message.encode(errors="backslashreplace"))
        except OSError as error:
            self._edge.down("systemd cannot be notified, continuing", error=str(error))
        else:
            self._edge.up("systemd is notified again")
