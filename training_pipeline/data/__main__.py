"""The data stages alone, as `python -m training_pipeline.data`: no torch needed. With them what reports become."""

from training_pipeline.data.commands import app
from training_pipeline.data.stage_command import run_stage
from training_pipeline.feedback.commands import app as feedback_app


def main() -> None:
    """Run the command; turn refusals into one line and an exit code."""
    app.add_typer(feedback_app)
    run_stage(app)


if __name__ == "__main__":
    main()
