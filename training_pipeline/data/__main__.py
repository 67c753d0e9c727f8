"""The data stages alone, as `python -m training_pipeline.data`: no torch needed."""

from training_pipeline.data.commands import app
from training_pipeline.data.stage_command import run_stage


def main() -> None:
    """Run the command; turn refusals into one line and an exit code."""
    run_stage(app)


if __name__ == "__main__":
    main()
