"""The embedded local stack: real Kafka (KRaft) and real Redis as child processes.

For tests, the demo and load tests; a worker never imports it.
"""

from deploy.local.errors import (
    JarError,
    JavaNotFoundError,
    LocalStackError,
    PortTakenError,
    RedisNotFoundError,
    ServiceStartError,
    StateError,
)
from deploy.local.kafka_cluster import BrokerOptions, KafkaCluster
from deploy.local.redis_server import RedisServer
from deploy.local.stack import LocalStack

__all__ = [
    "BrokerOptions",
    "JarError",
    "JavaNotFoundError",
    "KafkaCluster",
    "LocalStack",
    "LocalStackError",
    "PortTakenError",
    "RedisNotFoundError",
    "RedisServer",
    "ServiceStartError",
    "StateError",
]
