"""Create the topics of a deployment and give each part the least rights it works with.

Names of topics and group, addresses and credentials are the worker's settings (MODERATION_… variables or --config):
run it with the configuration of the workers and, in the environment, the credentials of an administrator.

Exit codes: 0 done; 1 the cluster refused something or does not answer; 2 wrong usage or settings.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.kafka.apply import create_acls, create_topics
from deploy.kafka.errors import ClusterSetupError
from deploy.kafka.rights import bindings, command_line, rights_by_role
from deploy.kafka.topics import topics_of
from worker.errors import Fatal, SettingsError
from worker.kafka.probe import open_admin
from worker.settings.source import usable_settings

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
        int, typer.Option(min=1, help="Of the topics with many: at least the largest number of workers.")
    ] = 12,
    copies: Annotated[int, typer.Option(min=1, help="Replication factor.")] = 3,
    config: ConfigOption = None,
) -> None:
    """Create the topics that are missing."""
    settings = usable_settings(os.environ, config).kafka
    created = create_topics(open_admin(settings), topics_of(settings), n_partitions=partitions, copies=copies)
    typer.echo(f"created: {', '.join(created) or 'nothing, all topics are there'}")


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
