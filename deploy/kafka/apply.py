"""Put topics and rights into a cluster; running it again changes nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AdminClient,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from deploy.kafka.errors import ClusterSetupError
from deploy.kafka.topics import Topic

_TIMEOUT_S: Final = 30.0


_POLICY: Final = "cleanup.policy"


def partitions_there(admin: AdminClient) -> dict[str, int]:
    """Return the number of partitions of each topic of the cluster.

    Raises:
        ClusterSetupError: the cluster does not answer.
    """
    try:
        found = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise ClusterSetupError(
            f"the topics cannot be listed: {error.args[0].str()}; expected brokers that answer; check the address"
        ) from error
    return {name: len(topic.partitions) for name, topic in found.items()}


def differences(
    admin: AdminClient, topics: Sequence[Topic], there: Mapping[str, int], n_partitions: int
) -> Iterator[str]:
    """Yield what of the topics that were there already is not as workers need it, with the command that mends it.

    Only what breaks something: partitions of the state, and what is compacted or is not. A retention of one's own is a
    choice. A topic whose settings this user may not read is passed over.

    Args:
        admin: Client of the cluster.
        topics: What is wanted.
        there: Partitions of each topic that was there before.
        n_partitions: Those of the input.
    """
    known = [topic for topic in topics if topic.name in there]
    for topic in known:
        if topic.setting == "state_topic" and there[topic.name] != n_partitions:
            yield (
                f"{topic.name} has {there[topic.name]} partitions; expected {n_partitions}, as the input has; workers "
                "refuse fewer: add them with kafka-topics.sh --alter (deploy/RUNBOOK.md, more partitions)"
            )
    configured = [topic for topic in known if _POLICY in topic.config]
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in configured}
    for resource, future in (admin.describe_configs(list(resources)) if resources else {}).items():
        topic = resources[resource]
        try:
            policy = future.result(timeout=_TIMEOUT_S)[_POLICY].value
        except KafkaException:
            continue
        expected = topic.config[_POLICY]
        if policy != expected:
            yield (
                f"{topic.name} has {_POLICY}={policy}; expected {expected}; set it with kafka-configs.sh --alter "
                f"--entity-type topics --entity-name {topic.name} --add-config {_POLICY}={expected}"
            )


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
