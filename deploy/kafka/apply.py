"""Put topics and rights into a cluster; running it again changes nothing."""

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclBinding, AdminClient  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from deploy.kafka.errors import ClusterSetupError
from deploy.kafka.topics import Topic

_TIMEOUT_S: Final = 30.0


def create_topics(admin: AdminClient, topics: Iterable[Topic], *, n_partitions: int, copies: int) -> list[str]:
    """Create the topics that are missing and return their names; a topic that is there is left as it is.

    Args:
        admin: Client of the cluster.
        topics: What is wanted.
        n_partitions: What `many` partitions are.
        copies: Replication factor.

    Raises:
        ClusterSetupError: a topic was refused.
    """
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=n_partitions if topic.partitions == "many" else topic.partitions,
            replication_factor=copies,
            config=dict(topic.config),
        )
        for topic in topics
    ]
    created = []
    for name, future in admin.create_topics(wanted, operation_timeout=_TIMEOUT_S).items():
        try:
            future.result(timeout=_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            raise ClusterSetupError(
                f"topic {name} was not created: {error.args[0].str()}; expected {copies} copies and a user with Create "
                "on it; check --copies against the number of brokers, and the rights"
            ) from error
        created.append(name)
    return created


def create_acls(admin: AdminClient, acls: Iterable[AclBinding]) -> int:
    """Give rights and return how many ACLs there are of them; one that is there already stays.

    Raises:
        ClusterSetupError: an ACL was refused.
    """
    futures = admin.create_acls(list(acls), request_timeout=_TIMEOUT_S)
    for acl, future in futures.items():
        try:
            future.result(timeout=_TIMEOUT_S)
        except KafkaException as error:
            operation, kind = (getattr(one, "name", one) for one in (acl.operation, acl.restype))
            raise ClusterSetupError(
                f"{operation} on {kind} {acl.name} was not given to {acl.principal}: "
                f"{error.args[0].str()}; expected brokers with an authorizer and a user with Alter on the cluster"
            ) from error
    return len(futures)
