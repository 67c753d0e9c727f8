"""The least rights of each role, read from acls.yaml."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from shlex import quote
from string import Formatter
from typing import Final, Literal

import yaml
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from pydantic import BaseModel, ConfigDict

from worker.settings.kafka import KafkaSettings

_PATH: Final = Path(__file__).with_name("acls.yaml")

_NAMES: Final = {*(name for name in KafkaSettings.model_fields if name.endswith("_topic")), "group_id"}

Operation = Literal["READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"]


class Right(BaseModel):
    """Operations on one resource.

    Attributes:
        resource: Kind of resource.
        name: Its name, or the beginning of it where `pattern` is prefixed.
        pattern: How names are compared.
        operations: What may be done.
        optional: What is lost without it; None where nothing works without it.
        only_with: Setting of the topic without which nobody needs it; None: always.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resource: Literal["topic", "group", "transactional_id"]
    name: str
    pattern: Literal["literal", "prefixed"] = "literal"
    operations: tuple[Operation, ...]
    optional: str | None = None
    only_with: str | None = None

    def single(self) -> Iterable["Right"]:
        """Yield the right for each operation apart."""
        return [self.model_copy(update={"operations": (operation,)}) for operation in self.operations]


class _Rights(BaseModel):
    model_config = ConfigDict(extra="forbid")

    roles: dict[str, tuple[Right, ...]]


def rights_by_role(settings: KafkaSettings, *, reader_group: str = "ad-pipeline") -> dict[str, list[Right]]:
    """Return the rights of each role with the names of this deployment, without those on topics that it does not use.

    Args:
        settings: Names of topics and group.
        reader_group: How the groups of those who read verdicts begin.
    """
    names: Mapping[str, object] = {**settings.model_dump(include=_NAMES), "reader_group": reader_group}
    roles = _Rights.model_validate(yaml.safe_load(_PATH.read_text("utf-8"))).roles
    return {
        role: [
            right.model_copy(update={"name": right.name.format_map(names)})
            for right in rights
            if _is_in_use(right, names)
        ]
        for role, rights in roles.items()
    }


def _is_in_use(right: Right, names: Mapping[str, object]) -> bool:
    """Say whether all is set that a right is about."""
    fields = [field for _, field, _, _ in Formatter().parse(right.name) if field]
    return all(names[field] is not None for field in [*fields, right.only_with] if field)


def bindings(rights: Iterable[Right], principal: str) -> list[AclBinding]:
    """Return the ACLs that give these rights to a principal, from any host.

    Args:
        rights: What is allowed.
        principal: As the broker names it, for instance User:verdictstream.
    """
    return [
        AclBinding(
            ResourceType[right.resource.upper()],
            right.name,
            ResourcePatternType[right.pattern.upper()],
            principal,
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for right in rights
        for operation in right.operations
    ]


def command_line(right: Right, principal: str, bootstrap_servers: str) -> str:
    """Return the kafka-acls.sh command that gives this right."""
    option = right.resource.replace("_", "-")
    operations = " ".join(
        f"--operation {''.join(part.title() for part in operation.split('_'))}" for operation in right.operations
    )
    return (
        f"kafka-acls.sh --bootstrap-server {bootstrap_servers} --command-config admin.properties --add "
        f"--allow-principal {quote(principal)} {operations} --{option} {quote(right.name)} "
        f"--resource-pattern-type {right.pattern}"
    )
