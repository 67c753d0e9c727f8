"""Create the topics of a deployment and give each part the least rights it works with.

Names of topics and group, addresses and credentials are the worker's settings (MODERATION_… variables or --config):
run it with the configuration of the workers and, in the environment, the credentials of an administrator.

Exit codes: 0 done; 1 the cluster refused something or does not answer; 2 wrong usage or settings.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.kafka.apply import create_acls, create_topics, differences, partitions_there
from deploy.kafka.errors import ClusterSetupError
from deploy.kafka.rights import bindings, command_line, rights_by_role
from deploy.kafka.topics import topics_of
from worker.errors import Fatal, SettingsError
from worker.kafka.probe import open_admin
from worker.settings.source import usable_settings

_PARTITIONS: Final = 12
"""Of topics with many, where neither an option nor the input topic says how many."""

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file; the environment wins over it.")]
Principal = Annotated[list[str], typer.Option(help="ROLE=PRINCIPAL, for instance worker=User:verdictstream; repeat.")]


@app.command()
def topics(
    *,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of the topics with many, at least the largest number of workers. Where the input topic is there, as "
            "many as it has.",
            show_default="12",
        ),
    ] = None,
    copies: Annotated[int, typer.Option(min=1, help="Replication factor.")] = 3,
    config: ConfigOption = None,
) -> None:
    """Create the topics that are missing.

    A topic that is there is left as it is. What of it workers cannot work with is told, with the command that mends it.
    """
    settings = usable_settings(os.environ, config).kafka
    admin, wanted = open_admin(settings), topics_of(settings)
    there = partitions_there(admin)
    of_input = there.get(settings.input_topic)
    n_partitions = of_input or partitions or _PARTITIONS
    created = create_topics(admin, wanted, n_partitions=n_partitions, copies=copies)
    typer.echo(f"created: {', '.join(created) or 'nothing, all topics are there'}")
    if partitions not in {None, n_partitions}:
        typer.echo(f"note: --partitions {partitions} was left aside: {settings.input_topic} has {of_input}", err=True)
    for difference in differences(admin, wanted, there, n_partitions):
        typer.echo(f"note: {difference}", err=True)


@app.command()
def acls(
    *,
    grant: Principal,
    reader_group: Annotated[str, typer.Option(help="How the groups of verdict readers begin.")] = "ad-pipeline",
    show: Annotated[bool, typer.Option("--show", help="Print kafka-acls.sh commands and connect to nothing.")] = False,
    config: ConfigOption = None,
) -> None:
    """Give roles their least rights.

    Roles: worker, replay, project, explain, simulate, erase, reviewer, auditor, reporter, trainer, upstream, reader,
    autoscaler.
    """
    settings = usable_settings(os.environ, config).kafka
    rights = rights_by_role(settings, reader_group=reader_group)
    granted = []
    for pair in grant:
        role, _, principal = pair.partition("=")
        if role not in rights or not principal.partition(":")[2]:
            raise SettingsError(
                f"--grant {pair}: expected ROLE=PRINCIPAL with a role of {', '.join(rights)} and a principal such as "
                "User:verdictstream"
            )
        if not any(right.resource == "topic" for right in rights[role]):
            raise SettingsError(
                f"--grant {pair}: no setting names a topic that the role {role} works with; expected one; name the "
                "topics first (`python -m worker check-config --example` lists them)"
            )
        granted.append((role, principal))
    if show:
        for role, principal in granted:
            for right in rights[role]:
                typer.echo(command_line(right, principal, settings.bootstrap_servers))
        return
    admin = open_admin(settings)
    for role, principal in granted:
        n_acls = create_acls(admin, bindings(rights[role], principal))
        typer.echo(f"{principal}: {n_acls} ACLs as {role}")


def main() -> None:
    """Run the command line and turn errors into exit codes."""
    try:
        app()
    except SettingsError as error:
        typer.echo(f"error: settings: {error}", err=True)
        sys.exit(2)
    except (Fatal, ClusterSetupError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
