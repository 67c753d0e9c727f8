"""Run a real Kafka cluster (KRaft) as child processes.

Invariant: broker `i` has node id `i`, and keeps its ports and its data over stops and starts until
the stack itself ends. A broker counts as ready after a metadata request through a real client came
back from that very broker.
"""

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException

from deploy.local.errors import PortTakenError, ServiceStartError
from deploy.local.java import JavaRuntime
from deploy.local.kafka_config import (
    BrokerPorts,
    default_copies,
    min_insync_replicas,
    new_cluster_id,
    server_properties,
)
from deploy.local.kafka_topics import admin_client, create_topics
from deploy.local.ports import LOOPBACK, is_listening
from deploy.local.service_process import ServiceProcess, Spawner, log_tail

START_TIMEOUT_S = 90.0
_FORMAT_TIMEOUT_S = 60.0
_STOP_GRACE_S = 20.0
_POLL_S = 0.02
_METADATA_TIMEOUT_S = 2.0
_LOG4J_CONFIG = Path(__file__).with_name("log4j2.properties")
_BIND_FAILURE = "Address already in use"


@dataclass(frozen=True)
class BrokerOptions:
    """How brokers are run.

    Attributes:
        heap: Java heap limit of one broker.
        jvm_flags: More flags for the broker's Java.
        settings: Broker settings that win over those of `kafka_config`.
        listeners: Listeners beside the plaintext one, name to security protocol; their keys and users are `settings`.
        racks: The rack of each broker, in their order; without it they have none.
        advertised: Of a listener, the port that clients are told by each broker, in their order: that of a proxy.
    """

    heap: str = "384m"
    jvm_flags: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    listeners: Mapping[str, str] = field(default_factory=dict)
    racks: tuple[str, ...] = ()
    advertised: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def settings_of(self, i: int) -> Mapping[str, str]:
        """Return the settings of broker `i`."""
        return {**self.settings, **({"broker.rack": self.racks[i]} if self.racks else {})}


class KafkaCluster:
    """A cluster of combined broker and controller nodes on the loopback interface.

    Args:
        folders: One existing folder per broker.
        ports: One pair per broker.
        java: Runtime to use.
        classpath: Kafka's jars.
        spawner: Decides what becomes of the brokers when this process ends.
        options: Heap, flags and settings.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        ports: Sequence[BrokerPorts],
        *,
        java: JavaRuntime,
        classpath: Sequence[Path],
        spawner: Spawner,
        options: BrokerOptions,
    ) -> None:
        self.ports = list(ports)
        self.processes = [ServiceProcess(f"broker-{i}", spawner, folder) for i, folder in enumerate(folders)]
        self._formatters = [
            ServiceProcess(f"format of broker-{i}", spawner, folder) for i, folder in enumerate(folders)
        ]
        self._folders = list(folders)
        self._java = java
        self._classpath = ":".join(map(str, classpath))
        self._options = options

    @property
    def n_brokers(self) -> int:
        """How many brokers the cluster has, running or not."""
        return len(self.processes)

    @property
    def bootstrap_servers(self) -> str:
        """All client addresses, `host:port` with commas between."""
        return ",".join(f"{LOOPBACK}:{ports.client}" for ports in self.ports)

    def servers_of(self, listener: str) -> str:
        """Return the addresses of a further listener, `host:port` with commas between."""
        return ",".join(f"{LOOPBACK}:{ports.more[listener]}" for ports in self.ports)

    def launch(self) -> None:
        """Format fresh folders and start every broker, without waiting until they are ready.

        Raises:
            ServiceStartError: A folder cannot be formatted, or Java does not run.
        """
        for i, folder in enumerate(self._folders):
            settings = self._options.settings_of(i)
            told = {name: ports[i] for name, ports in self._options.advertised.items()}
            listeners = self._options.listeners
            text = server_properties(i, self.ports, folder / "data", settings, listeners, advertised=told)
            (folder / "server.properties").write_text(text, "utf-8")
        self._format()
        for i in range(self.n_brokers):
            self._spawn(i)

    def wait_all_ready(self) -> None:
        """Wait until every broker answers and lists all the others.

        Raises:
            PortTakenError: Somebody else took one of the ports.
            ServiceStartError: A broker ended or was not ready in time; the text quotes its log.
        """
        for i in range(self.n_brokers):
            self.wait_ready(i, n_brokers_seen=self.n_brokers)

    def start_broker(self, i: int, *, wait_ready: bool = True) -> None:
        """Start broker `i` again, on the same port and with its data.

        Args:
            i: Index of the broker.
            wait_ready: False returns at once. Needed where the brokers running do not make up a
                majority of the controllers yet, because none is ready before that.

        Raises:
            ServiceStartError: It runs already, ended, or was not ready in time.
        """
        self._spawn(i)
        if wait_ready:
            self.wait_ready(i)

    def stop_broker(self, i: int, *, kill: bool = False) -> None:
        """Stop broker `i` in order, or with SIGKILL where `kill`; stopping twice does nothing."""
        self.processes[i].request_stop(kill=kill)
        self.processes[i].wait_stopped(grace_s=_STOP_GRACE_S)

    def pause_broker(self, i: int) -> None:
        """Freeze broker `i` (SIGSTOP): its connections stay open and nothing answers."""
        self.processes[i].signal(signal.SIGSTOP)

    def resume_broker(self, i: int) -> None:
        """Wake the paused broker `i` (SIGCONT)."""
        self.processes[i].signal(signal.SIGCONT)

    def stop(self, *, kill: bool) -> None:
        """Stop every broker at the same time, because the last ones cannot leave a lost quorum."""
        everything = [*self.processes, *self._formatters]
        for process in everything:
            process.request_stop(kill=kill)
        for process in everything:
            process.wait_stopped(grace_s=_STOP_GRACE_S)

    def create_topics(
        self,
        topics: Mapping[str, int],
        *,
        replication_factor: int | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        """Create topics and wait until every partition has a leader.

        Args:
            topics: Name to number of partitions; a topic that is there already is left as it is.
            replication_factor: Copies of each partition; by default 3, or one per broker.
            config: Topic settings, the same for all.

        Raises:
            ServiceStartError: A topic was refused, or has no leader in time.
        """
        copies = replication_factor or default_copies(self.n_brokers)
        settings = {"min.insync.replicas": str(min(copies, min_insync_replicas(self.n_brokers)))}
        settings.update(config or {})
        create_topics(admin_client(self.bootstrap_servers), topics, copies=copies, settings=settings)

    def wait_ready(self, i: int, *, n_brokers_seen: int = 1, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until broker `i` itself answers a metadata request.

        Args:
            i: Index of the broker.
            n_brokers_seen: How many brokers its answer must list, itself among them.
            timeout_s: How long to wait.

        Raises:
            PortTakenError: It ended because of its port.
            ServiceStartError: It ended, or was not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while not is_listening(self.ports[i].client):
            self._require_running(i, deadline, timeout_s)
            time.sleep(_POLL_S)
        admin = admin_client(f"{LOOPBACK}:{self.ports[i].client}")
        while True:
            self._require_running(i, deadline, timeout_s)
            try:
                brokers = admin.list_topics(timeout=_METADATA_TIMEOUT_S).brokers
            except KafkaException:
                brokers = {}
            if i in brokers and len(brokers) >= n_brokers_seen:
                return
            time.sleep(_POLL_S)

    def _format(self) -> None:
        """Run Kafka's StorageTool on every folder that is not formatted yet, all at once."""
        cluster_id = new_cluster_id()
        fresh = [i for i, f in enumerate(self._folders) if not (f / "data" / "meta.properties").is_file()]
        for i in fresh:
            properties = str(self._folders[i] / "server.properties")
            arguments = ["format", f"--cluster-id={cluster_id}", "--config", properties]
            self._formatters[i].start(
                [*self._java_argv(i, "format.log", "128m"), "kafka.tools.StorageTool", *arguments]
            )
        for i in fresh:
            self._formatters[i].wait_stopped(grace_s=_FORMAT_TIMEOUT_S)
            if not (self._folders[i] / "data" / "meta.properties").is_file():
                tail = log_tail(self._folders[i] / "format.log", self._formatters[i].console)
                raise ServiceStartError(
                    f"broker-{i}: its storage folder was not formatted; expected a writable folder "
                    f"with free space at {self._folders[i]}\n{tail}"
                )

    def _spawn(self, i: int) -> None:
        properties = str(self._folders[i] / "server.properties")
        argv = self._java_argv(i, "server.log", self._options.heap)
        self.processes[i].start([*argv, *self._options.jvm_flags, "kafka.Kafka", properties])

    def _java_argv(self, i: int, log_name: str, heap: str) -> list[str]:
        """Return the Java command up to the main class; later flags win over earlier ones."""
        folder = self._folders[i]
        return [
            str(self._java.executable),
            f"-Xmx{heap}",
            "-XX:+UseSerialGC",
            # The quick compiler alone: brokers start 1.3 s sooner and leave the cores to others.
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            # Compression libraries unpack themselves here; the folder goes away with the broker.
            f"-Djava.io.tmpdir={folder}",
            f"-Dlog4j2.configurationFile={_LOG4J_CONFIG}",
            f"-Dverdictstream.log_file={folder / log_name}",
            "-cp",
            self._classpath,
        ]

    def _require_running(self, i: int, deadline: float, timeout_s: float) -> None:
        """Raise where broker `i` has ended or its time is up."""
        ended = not self.processes[i].is_running()
        if not ended and time.monotonic() <= deadline:
            return
        tail = log_tail(self._folders[i] / "server.log", self.processes[i].console)
        text = (
            f"broker-{i} {'ended while it started' if ended else 'was not ready'} on "
            f"{LOOPBACK}:{self.ports[i].client}; expected an answer within {timeout_s:.0f} s; "
            f"see its log\n{tail}"
        )
        if ended and _BIND_FAILURE in tail:
            raise PortTakenError(text)
        raise ServiceStartError(text)
