"""The data stages alone, as `python -m training_pipeline.data`: no torch needed. With them what reports become."""

import typer

from training_pipeline.data.commands import app as data_app
from training_pipeline.data.stage_command import run_stage
from training_pipeline.feedback.commands import app as feedback_app

app = typer.Typer(
    help=data_app.info.help,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app)
app.add_typer(feedback_app)


def main() -> None:
    """Run the command; turn refusals into one line and an exit code."""
    run_stage(app)


if __name__ == "__main__":
    main()
