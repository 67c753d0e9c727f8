"""The broker configuration of one node and of a cluster."""

from pathlib import Path

from deploy.local.kafka_config import BrokerPorts, new_cluster_id, server_properties


def _settings(n_brokers: int, **overrides: str) -> dict[str, str]:
    nodes = [BrokerPorts(client=21_000 + i, controller=22_000 + i) for i in range(n_brokers)]
    text = server_properties(0, nodes, Path("/data"), overrides)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_a_single_node_asks_for_one_copy_and_listens_on_the_loopback_only() -> None:
    """A second copy would never come; an open port would be an unauthenticated broker."""
    settings = _settings(1)
    assert settings["transaction.state.log.replication.factor"] == "1"
    assert settings["min.insync.replicas"] == "1"
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:21000,CONTROLLER://127.0.0.1:22000"


def test_three_nodes_keep_three_copies_two_of_them_in_sync() -> None:
    """One broker may be killed in a fault test without losing or refusing a write."""
    settings = _settings(3)
    assert settings["offsets.topic.replication.factor"] == "3"
    assert settings["transaction.state.log.min.isr"] == "2"
    assert settings["controller.quorum.voters"].count("@127.0.0.1:") == 3


def test_settings_of_the_caller_win() -> None:
    """A fault test shortens retention or timeouts for its own purpose."""
    assert _settings(1, **{"log.retention.ms": "1000"})["log.retention.ms"] == "1000"


def test_a_cluster_id_never_looks_like_a_command_line_option() -> None:
    """Kafka's tool takes it as an argument."""
    ids = {new_cluster_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(i) == 22 and not i.startswith("-") for i in ids)


def test_a_listener_behind_a_proxy_is_told_by_the_proxys_port(tmp_path: Path) -> None:
    """Clients connect to what a broker tells them: with its own port they would go past the proxy."""
    nodes = [BrokerPorts(1, 2, {"PROXIED": 3})]
    text = server_properties(0, nodes, tmp_path, {}, {"PROXIED": "PLAINTEXT"}, advertised={"PROXIED": 9})
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:1,PROXIED://127.0.0.1:9\n" in text
    assert "PROXIED://127.0.0.1:3" in text.split("\nlisteners=", 1)[1].splitlines()[0]
    assert "advertised.listeners" not in server_properties(0, nodes, tmp_path, {}, {"PROXIED": "PLAINTEXT"})
