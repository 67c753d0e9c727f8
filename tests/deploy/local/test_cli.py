"""`python -m deploy.local up | status | down` as a person meets it, without any network."""

import json
import os
from pathlib import Path

from confluent_kafka.admin import AdminClient

from deploy.local.service_process import ProcessIdentity
from deploy.local.state import RecordedService, StackState, StateStore
from tests.deploy.local.conftest import RunCli


def _record(store: StateStore, process: ProcessIdentity) -> None:
    """Write the state of a stack whose only service is `process`."""
    store.folder.mkdir(parents=True, exist_ok=True)
    service = RecordedService("broker-0", "127.0.0.1:1", process)
    store.save(
        StackState(
            ready=True,
            data_dir=store.folder / "data",
            bootstrap_servers="127.0.0.1:1",
            redis_url="redis://127.0.0.1:2/0",
            services=(service,),
        )
    )


def _stranger() -> ProcessIdentity:
    """Return this process's pid with the start time of another: a recycled pid."""
    return ProcessIdentity(os.getpid(), ProcessIdentity.of(os.getpid()).started_at_s - 3_600)


def test_up_status_and_down_start_show_and_remove_one_stack(run_cli: RunCli, warm_cache: Path, tmp_path: Path) -> None:
    """The whole life of a stack, after a stale state, with a warm cache and no network."""
    store = StateStore(tmp_path / "state")
    _record(store, _stranger())

    up = run_cli("up", "--state-dir", store.folder, "--cache-dir", warm_cache, "--partitions", "5")
    try:
        assert up.returncode == 0, up.stderr
        assert "starting anew" in up.stderr
        assert "ownload" not in up.stderr
        told = json.loads(up.stdout.splitlines()[-1])
        servers, url = told["bootstrap_servers"], told["redis_url"]
        assert f"export MODERATION_KAFKA__BOOTSTRAP_SERVERS={servers}\n" in up.stdout
        assert f"export MODERATION_REDIS__URL={url}\n" in up.stdout
        topics = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=30).topics
        for name in ("chat-events", "verdicts", "chat-events.dlq"):
            assert len(topics[name].partitions) == 5

        again = run_cli("up", "--state-dir", store.folder)
        assert again.returncode == 0
        assert "already running" in again.stderr
        assert json.loads(again.stdout.splitlines()[-1])["bootstrap_servers"] == servers

        status = run_cli("status", "--state-dir", store.folder)
        assert status.returncode == 0
        assert servers in status.stdout
        state = store.load()
        assert state is not None
        assert state.is_running
    finally:
        down = run_cli("down", "--state-dir", store.folder)

    assert down.returncode == 0, down.stderr
    assert "stopped 2 of 2" in down.stdout
    assert not any(service.process.is_alive() for service in state.services)
    assert not (store.folder / "data").exists()
    assert run_cli("status", "--state-dir", store.folder).returncode == 3


def test_status_tells_a_recycled_pid_from_the_service_and_down_leaves_it_alone(run_cli: RunCli, tmp_path: Path) -> None:
    """After a reboot the recorded pid may belong to anybody; it must not be killed."""
    store = StateStore(tmp_path)
    _record(store, _stranger())

    status = run_cli("status", "--state-dir", tmp_path)
    down = run_cli("down", "--state-dir", tmp_path)

    assert status.returncode == 3
    assert "not running" in status.stdout
    assert down.returncode == 0
    assert "stopped 0 of 1" in down.stdout
    assert store.load() is None


def test_down_where_nothing_runs_says_so_and_succeeds(run_cli: RunCli, tmp_path: Path) -> None:
    """A clean-up step in a script may run twice."""
    down = run_cli("down", "--state-dir", tmp_path)
    assert down.returncode == 0
    assert "nothing is running" in down.stdout


def test_an_up_that_is_refused_leaves_kept_data_alone(run_cli: RunCli, warm_cache: Path, tmp_path: Path) -> None:
    """A wrong --brokers must not cost the data that `down --keep-data` was asked to keep."""
    kept = tmp_path / "data" / "broker-0" / "kept"
    kept.parent.mkdir(parents=True)
    kept.touch()
    up = run_cli("up", "--brokers", "3", "--state-dir", tmp_path, "--cache-dir", warm_cache)
    assert up.returncode == 1
    assert "holds data of 1 brokers, expected 3" in up.stderr
    assert kept.exists()


def test_a_damaged_state_file_is_refused_with_a_remedy(run_cli: RunCli, tmp_path: Path) -> None:
    """Guessing which processes to kill would be worse than asking."""
    (tmp_path / "local-stack.json").write_text("{", "utf-8")
    down = run_cli("down", "--state-dir", tmp_path)
    assert down.returncode == 1
    assert "local-stack.json" in down.stderr
    assert "delete the file" in down.stderr


def test_a_second_command_on_the_same_folder_is_refused_while_the_first_works(run_cli: RunCli, tmp_path: Path) -> None:
    """Two `up` at once must not end in two stacks of which one is forgotten."""
    with StateStore(tmp_path).lock():
        up = run_cli("up", "--state-dir", tmp_path)
    assert up.returncode == 1
    assert "another `up` or `down` is at work" in up.stderr
