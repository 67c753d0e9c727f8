"""Write the configuration of a small KRaft cluster; pure functions only.

Every node is broker and controller in one. Values are chosen for a quick start and a small
machine; each line that differs from Kafka's default says why.
"""

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.ports import LOOPBACK

MESSAGE_MAX_BYTES = 20_971_520  # 20 MiB: a chat event of the largest accepted size fits
_REPLICAS_WANTED = 3
_N_INTERNAL_PARTITIONS = 8  # Kafka's 50 of each cost seconds on first use


@dataclass(frozen=True)
class BrokerPorts:
    """The ports of one node.

    Attributes:
        client: Plaintext clients.
        controller: Controllers among themselves.
        more: Further listeners: name to port.
    """

    client: int
    controller: int
    more: Mapping[str, int] = field(default_factory=dict)


def default_copies(n_brokers: int) -> int:
    """Return how many copies topics get: 3 where there are enough brokers."""
    return min(_REPLICAS_WANTED, n_brokers)


def min_insync_replicas(n_brokers: int) -> int:
    """Return how many copies a write must reach: 2 of 3, so that one broker may be down."""
    return 2 if n_brokers >= _REPLICAS_WANTED else 1


def new_cluster_id() -> str:
    """Return a random cluster id as Kafka writes it: 22 characters, no leading dash."""
    while True:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
        if not cluster_id.startswith("-"):
            return cluster_id


def server_properties(
    node_id: int,
    nodes: Sequence[BrokerPorts],
    log_dir: Path,
    overrides: Mapping[str, str],
    protocols: Mapping[str, str] | None = None,
    *,
    advertised: Mapping[str, int] | None = None,
) -> str:
    """Return the text of one node's server.properties.

    Args:
        node_id: Index into `nodes`; Kafka's node id too.
        nodes: The ports of every node of the cluster.
        log_dir: Where the node keeps its records.
        overrides: Broker settings that win over the ones below.
        protocols: Security protocol of each further listener, for instance {"MTLS": "SSL"}.
        advertised: The port that clients are told of a listener, where they shall not connect to it directly.
    """
    mine = nodes[node_id]
    ports = {"PLAINTEXT": mine.client, "CONTROLLER": mine.controller, **mine.more}
    security = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **(protocols or {})}
    voters = ",".join(f"{i}@{LOOPBACK}:{node.controller}" for i, node in enumerate(nodes))
    copies = str(default_copies(len(nodes)))
    in_sync = str(min_insync_replicas(len(nodes)))
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        "controller.quorum.voters": voters,
        "listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in security.items()),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(log_dir),
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "message.max.bytes": str(MESSAGE_MAX_BYTES),
        "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
        **_advertised(ports, advertised or {}),
        **_SMALL_MACHINE,
        **overrides,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _advertised(ports: Mapping[str, int], told: Mapping[str, int]) -> dict[str, str]:
    """Return what a broker tells clients of its listeners; nothing where that is what it listens on."""
    if not told:
        return {}
    open_to_clients = {name: told.get(name, port) for name, port in ports.items() if name != "CONTROLLER"}
    return {"advertised.listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in open_to_clients.items())}


_SMALL_MACHINE = {
    "auto.create.topics.enable": "false",  # a misspelt topic must fail, not appear
    "group.initial.rebalance.delay.ms": "0",  # a first member need not wait 3 s for others
    # A transaction that timed out is ended within 1 s instead of 10 s, so tests see it soon.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # A killed broker may come back once its old session is over: 4 s instead of 9 s.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    "offsets.topic.num.partitions": str(_N_INTERNAL_PARTITIONS),
    "transaction.state.log.num.partitions": str(_N_INTERNAL_PARTITIONS),
    "share.coordinator.state.topic.num.partitions": str(_N_INTERNAL_PARTITIONS),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "log.cleaner.dedupe.buffer.size": "4194304",  # Kafka's 128 MiB would be a third of the heap
}
