"""A local stack that is also reached through fault proxies: one before each broker, one before Redis.

Workers are told the addresses of the proxies; a harness uses the stack's own, so that a bad line harms the worker only.
"""

from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from deploy.local.kafka_cluster import BrokerOptions
from deploy.local.ports import LOOPBACK
from deploy.local.stack import LocalStack
from testkit.fault_proxy import FaultProxy

_LISTENER: Final = "PROXIED"


class ProxiedStack:
    """A stack and its proxies; a context manager.

    Args:
        n_brokers: See `LocalStack`.
        broker_options: See `LocalStack`.

    Attributes:
        stack: The services behind the proxies.
        brokers: The proxy of each broker, in their order.
        redis: The proxy of Redis.
    """

    def __init__(self, n_brokers: int = 1, *, broker_options: BrokerOptions | None = None) -> None:
        self._exit = ExitStack()
        self.brokers = [self._exit.enter_context(FaultProxy(speaks_kafka=True, seed=i)) for i in range(n_brokers)]
        self.redis = self._exit.enter_context(FaultProxy(seed=n_brokers))
        options = broker_options or BrokerOptions()
        self.stack = LocalStack(
            n_brokers,
            broker_options=replace(
                options,
                listeners={**options.listeners, _LISTENER: "PLAINTEXT"},
                advertised={**options.advertised, _LISTENER: tuple(proxy.port for proxy in self.brokers)},
            ),
        )

    def __enter__(self) -> Self:
        with self._exit:
            self._exit.enter_context(self.stack)
            for proxy, ports in zip(self.brokers, self.stack.kafka.ports, strict=True):
                proxy.lead_to(ports.more[_LISTENER])
            self.redis.lead_to(self.stack.redis.port)
            self._exit = self._exit.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's addresses through the proxies."""
        return ",".join(f"{LOOPBACK}:{proxy.port}" for proxy in self.brokers)

    @property
    def redis_url(self) -> str:
        """Redis' address through its proxy."""
        return f"redis://{LOOPBACK}:{self.redis.port}/0"

    def heal(self) -> None:
        """Take every fault off every line."""
        for proxy in (*self.brokers, self.redis):
            proxy.heal()
