"""A process that only reads topics into a database, to be killed: `python -m tests.console.intake.reading`."""

import argparse
import json
import signal
import threading

from console.intake.intake import Intake
from console.settings.console import ConsoleSettings
from console.settings.operations import PipelineSettings, ReviewSettings, StoreSettings
from console.store.store import open_store
from tests.console.operations import worker_settings

LEASE_S = 1.0


def main() -> None:
    """Read until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.console.intake.reading", description=main.__doc__)
    parser.add_argument("database", help="its address")
    parser.add_argument("brokers", help="their addresses")
    parser.add_argument("topics", help="their names, as JSON by setting")
    given = parser.parse_args()
    settings = ConsoleSettings(
        pipeline=PipelineSettings(is_on=True),
        review=ReviewSettings(sample_per_stratum=0),
        store=StoreSettings(keep_days=36_500),
    )
    worker = worker_settings(given.brokers, **json.loads(given.topics))
    intake = Intake(open_store(given.database), settings, worker, lease_s=LEASE_S, pause_s=0.1)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    intake.start()
    ending.wait()
    intake.close()


if __name__ == "__main__":
    main()
