"""The capacity model: sizes that add up, and an autoscaler that does not flap under them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.capacity.autoscaler import Movement, ScalingRules
from loadtest.capacity.fleet_simulation import Fleet, FleetRun, simulate
from loadtest.capacity.plan import Sizing, Traffic, catch_up_s, make_plan, pods_for, read_profile
from loadtest.errors import LoadTestError

_FLEET = Fleet(rate_per_pod=75, n_partitions=12)
_CHART = Path(__file__).parents[3] / "deploy" / "helm" / "verdictstream" / "values.yaml"


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.0, 1),
        (60.0, 1),
        (61.0, 2),
        (360.0, 6),
        pytest.param(361.0, 12, id="between 6 and 12 pods somebody has two of twelve partitions"),
        (720.0, 12),
    ],
)
def test_the_pod_with_the_most_partitions_decides_how_many_are_needed(rate: float, expected: int) -> None:
    """At 80 % of 75 chats/s."""
    assert pods_for(rate, _FLEET, 0.8) == expected


def test_too_few_partitions_are_refused_with_the_number_that_would_do() -> None:
    """More pods than partitions idle."""
    with pytest.raises(LoadTestError, match="expected at least 13 partitions"):
        pods_for(721.0, _FLEET, 0.8)


def test_a_steady_rate_is_served_without_a_change() -> None:
    """Nothing waits, nobody comes or goes."""
    result = make_plan([100.0] * 3_600, _FLEET, Sizing())
    assert (result["min_replicas"], result["lag_threshold"]) == (2, 525)
    assert result["simulated"]["n_scale_ups"] == result["simulated"]["n_scale_downs"] == 0
    assert result["simulated"]["max_wait_s"] <= 1
    assert result["cost_per_hour"] == pytest.approx(2 * 0.04)


@pytest.mark.parametrize(
    "traffic",
    [
        pytest.param(Traffic(60, 400), id="five minutes in an hour"),
        pytest.param(Traffic(60, 400, burst_s=120, burst_every_s=600), id="two minutes in ten"),
        pytest.param(Traffic(60, 400, burst_s=7_200, burst_every_s=14_400), id="a rush of two hours"),
    ],
)
def test_bursty_traffic_is_followed_without_flapping(traffic: Traffic) -> None:
    """Pods come within a minute of a burst, and none goes that is wanted again within ten."""
    result = make_plan(traffic.rates(), _FLEET, Sizing())
    assert result["simulated"]["n_flaps"] == 0
    assert result["simulated"]["max_pods"] > result["min_replicas"]
    assert result["simulated"]["max_wait_s"] < 60


def test_lag_alone_flaps_through_a_long_rush_and_the_cpu_trigger_ends_that() -> None:
    """Pods that keep up have no lag, so that lag alone takes them away as soon as they do."""
    rates = Traffic(60, 400, burst_s=7_200, burst_every_s=14_400).rates()
    with_cpu, alone = (simulate(rates, _FLEET, ScalingRules(cpu_percent=percent)).n_flaps() for percent in (80, 0))
    assert with_cpu == 0
    assert alone > 5


def test_the_charts_defaults_are_the_rules_that_are_simulated() -> None:
    """What the plan shows must be what the chart does."""
    values = yaml.safe_load(_CHART.read_text("utf-8"))["autoscaling"]
    up, down = values["scaleUp"], values["scaleDown"]
    assert ScalingRules() == ScalingRules(
        lag_threshold=values["keda"]["lagThreshold"],
        cpu_percent=values["keda"]["cpuUtilizationPercentage"],
        min_replicas=values["minReplicas"],
        max_replicas=values["maxReplicas"],
        up=Movement(up["stabilizationSeconds"], up["percent"], up["pods"], up["periodSeconds"]),
        down=Movement(down["stabilizationSeconds"], down["percent"], period_s=down["periodSeconds"]),
    )


def test_catching_up_takes_the_backlog_over_what_is_left_of_the_capacity() -> None:
    """With pods fixed at 12: 1,800 s x 90 chats/s, drained at 12 x 75 - 90 chats/s."""
    fixed = ScalingRules(min_replicas=12, max_replicas=12)
    assert catch_up_s(90.0, _FLEET, fixed, 1_800.0) == pytest.approx(1_800 * 90 / (12 * 75 - 90), abs=2)


def test_a_fleet_that_is_too_small_never_catches_up() -> None:
    """And says so instead of a number."""
    assert catch_up_s(200.0, _FLEET, ScalingRules(min_replicas=2, max_replicas=2), 60.0) is None


@settings(deadline=None, max_examples=20)
@given(rates=st.lists(st.floats(min_value=0, max_value=2_000), min_size=30, max_size=200), waiting=st.floats(0, 1e5))
def test_nothing_is_served_that_did_not_arrive_and_nothing_gets_lost(rates: list[float], waiting: float) -> None:
    """What came is served or waits."""
    run = simulate(rates, _FLEET, ScalingRules(), lag_records=waiting)
    assert sum(run.served) + run.lags[-1] == pytest.approx(sum(rates) + waiting, rel=1e-6, abs=1e-3)


def test_waits_are_those_of_the_oldest_chat() -> None:
    """Three seconds' chats arrive at once and are served one second's worth at a time."""
    run = FleetRun(arrivals=[30.0, 0.0, 0.0, 0.0], served=[10.0, 10.0, 10.0, 0.0])
    assert run.waits_s() == [1.0, 2.0, 0.0, 0.0]


def test_a_flap_is_a_pod_that_is_wanted_again_within_ten_minutes() -> None:
    """Once per time it went; later than that it is another burst."""
    assert FleetRun(pods=[4, 2, *[2] * 300, 4, 4]).n_flaps() == 1
    assert FleetRun(pods=[4, 2, *[2] * 700, 4, 4]).n_flaps() == 0


def test_a_profile_is_read_from_a_file(tmp_path: Path) -> None:
    """Each rate holds until the next line."""
    path = tmp_path / "profile.csv"
    path.write_text("0,10\n2,50.5\n3,0\n")
    assert read_profile(path) == [10.0, 10.0, 50.5]


@pytest.mark.parametrize("text", ["", "0,10\n", "0,10\n0,20\n", "0,ten\n1,2\n", "0,-1\n5,0\n", "1;2\n"])
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    """With the file's name and what was expected."""
    path = tmp_path / "profile.csv"
    path.write_text(text)
    with pytest.raises(LoadTestError, match=r"profile\.csv: .*expected"):
        read_profile(path)


def test_the_command_prints_a_table_and_one_json_line(tmp_path: Path) -> None:
    """As every command of this folder."""
    path = tmp_path / "profile.csv"
    path.write_text("0,50\n900,300\n1200,50\n1800,0\n")
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "plan", "--rate-per-pod", "75", "--profile", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["simulated"]["n_flaps"] == 0
    assert "lag threshold" in done.stdout
