"""A process that does nothing but read topics into a database, to be killed: `python -m tests.console.intake.reading`.

Arguments: address of the database, of the brokers, and the names of the topics as JSON by setting.
"""

import json
import signal
import sys
import threading

from console.intake.intake import Intake
from console.settings.console import ConsoleSettings
from console.settings.operations import PipelineSettings, ReviewSettings, StoreSettings
from console.store.store import open_store
from tests.console.operations import worker_settings

LEASE_S = 1.0


def main() -> None:
    """Read until SIGTERM."""
    url, servers, topics = sys.argv[1:]
    settings = ConsoleSettings(
        pipeline=PipelineSettings(is_on=True),
        review=ReviewSettings(sample_per_stratum=0),
        store=StoreSettings(keep_days=36_500),
    )
    worker = worker_settings(servers, **json.loads(topics))
    intake = Intake(open_store(url), settings, worker, lease_s=LEASE_S, pause_s=0.1)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    intake.start()
    ending.wait()
    intake.close()


if __name__ == "__main__":
    main()
