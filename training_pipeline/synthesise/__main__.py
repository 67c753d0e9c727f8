"""The stage alone, as `python -m training_pipeline.synthesise`: no torch needed."""

from training_pipeline.data.stage_command import run_stage
from training_pipeline.synthesise.commands import app


def main() -> None:
    """Run the command; turn refusals into one line and an exit code."""
    run_stage(app)


if __name__ == "__main__":
    main()
