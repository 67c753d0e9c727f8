"""A process that does nothing but read topics into a database, to be killed by tests."""

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
    parser.add_argument("url", help="address of the database")
    parser.add_argument("servers", help="of the brokers")
    parser.add_argument("topics", type=json.loads, help="names of the topics, as JSON by setting")
    asked = parser.parse_args()
    settings = ConsoleSettings(
        pipeline=PipelineSettings(is_on=True),
        review=ReviewSettings(sample_per_stratum=0),
        store=StoreSettings(keep_days=36_500),
    )
    worker = worker_settings(asked.servers, **asked.topics)
    intake = Intake(open_store(asked.url), settings, worker, lease_s=LEASE_S, pause_s=0.1)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    intake.start()
    ending.wait()
    intake.close()


if __name__ == "__main__":
    main()
