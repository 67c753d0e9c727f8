"""From a few rows of any taxonomy to a bundle that serves and is measured, with parts left out where rows are few."""

import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from model import Classification, Classifier, load_bundle
from schemas import DecidedBy, Decision, Role, Taxonomy, Turn, taxonomy_of
from training_pipeline.command_line import app
from training_pipeline.train.config import read_config

WORDS = {
    "question": "how why when where can",
    "answer": "because yes install restart use",
    "comment": "nice lol agree thanks wow",
    "not_toxic": "garden recipe train music weather",
    "toxic": "idiot stupid hate moron scum",
    "jailbreak": "ignore rules pretend developer system",
}
N_ROWS = 240


def write_rows(path: Path, taxonomy: Taxonomy, n_rows: int) -> Path:
    """Write labelled chats whose words give their category away."""
    rng = random.Random(5)  # noqa: S311  chooses words, no secret
    rows = []
    for n in range(n_rows):
        code = taxonomy.codes[n % len(taxonomy.codes)]
        text = " ".join(rng.choices(WORDS[code].split(), k=6))
        rows.append({"chat_id": f"c{n}", "category": code, "messages": [{"role": "user", "content": f"{text} {n}"}]})
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def run(*arguments: str | Path) -> dict[str, Any]:
    """Run a command to its end and return its last line."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    last: dict[str, Any] = orjson.loads(result.output.splitlines()[-1]) | {"printed": " ".join(result.output.split())}
    return last


@pytest.mark.parametrize("name", ["community", "toxicity"])
def test_a_few_rows_of_any_taxonomy_become_a_bundle(tmp_path: Path, tiny_encoder: Path, name: str) -> None:
    """What newcomers do first, by the commands; 240 rows carry neither first stage nor exits, and that is said."""
    taxonomy = taxonomy_of(name)
    data, dev = write_rows(tmp_path / "data.jsonl", taxonomy, N_ROWS), write_rows(tmp_path / "dev.jsonl", taxonomy, 60)
    folder, out = tmp_path / "run", tmp_path / "bundle"
    run("train", "--taxonomy", name, "--data", data, "--dev", dev, "--out", folder, "--encoder", tiny_encoder,
        "--epochs", "1", "--threads", "1")  # fmt: skip
    assert read_config(folder).taxonomy == taxonomy
    made = run("export", "--run", folder, "--data", data, "--out", out, "--name", name, "--version", "1",
               "--evaluate", dev, "--threads", "1")  # fmt: skip
    metrics = made["metrics"]
    assert metrics["calibration"]["nll"] is not None
    held_out = load_bundle(out).manifest.training_data["n_chats_held_out"]
    assert sum(metrics["calibration"]["longest_message"].values()) == held_out
    assert set(metrics["left_out"]) == {"first_stage", "early_exits", "pieces"}
    assert all(sentence in made["printed"] for sentence in metrics["left_out"].values())
    bundle = load_bundle(out)
    assert (bundle.taxonomy, bundle.default_policy.banned) == (taxonomy, taxonomy.banned)
    (found,), _ = Classifier(bundle, bundle.default_policy, n_threads=1).classify([[Turn(Role.USER, "hate moron")]])
    assert isinstance(found, Classification)
    assert tuple(found.evidence) == taxonomy.codes
    expected = (Decision.REVIEW, DecidedBy.MODEL) if taxonomy.banned else (Decision.ALLOW, DecidedBy.NOTHING_BANNED)
    assert (found.judgement.decision, found.judgement.decided_by) == expected
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"taxonomy {taxonomy.ref}" in card
    assert "Ad placement" not in card
    page = tmp_path / "page.html"
    report = run("evaluate", "--bundle", out, "--data", dev, "--threads", "1", "--bootstrap", "20",
                 "--timed-chats", "0", "--html", page)  # fmt: skip
    assert (report["agreed"]["banned_to_safe_rate"] is None) == (not taxonomy.banned)
    assert list(report["agreed"]["categories"]) == list(taxonomy.codes)
    assert all(f"<td>{code}" in page.read_text(encoding="utf-8") for code in taxonomy.codes)
    if taxonomy.banned:
        assert "no chat can get it; calibrate on at least" in made["printed"]
    else:
        assert "The policy bans nothing" in made["printed"]


def test_a_bundle_is_exported_under_a_policy_of_ones_own(tmp_path: Path, tiny_encoder: Path) -> None:
    """It becomes the bundle's default, and decides what is banned in every figure; another taxonomy's is refused."""
    taxonomy = taxonomy_of("community")
    data = write_rows(tmp_path / "data.jsonl", taxonomy, N_ROWS)
    folder, out, policy = tmp_path / "run", tmp_path / "bundle", tmp_path / "policy.toml"
    run("train", "--taxonomy", "community", "--data", data, "--dev", data, "--out", folder, "--encoder", tiny_encoder,
        "--epochs", "1", "--threads", "1")  # fmt: skip
    rates = "max_banned_to_safe_rate = 0.2\nmax_safe_to_banned_rate = 0.1\n"
    policy.write_text(f'name = "no-comments"\nversion = "2"\ntaxonomy = "community"\nbanned = ["comment"]\n{rates}')
    asked = ["export", "--run", folder, "--data", data, "--out", out, "--name", "c", "--version", "1", "--threads", "1"]
    run(*asked, "--policy", policy)
    bundle = load_bundle(out)
    assert (bundle.default_policy.name, bundle.default_policy.banned) == ("no-comments", {"comment"})
    policy.write_text(f'name = "strict"\nversion = "2"\nbanned = ["M"]\n{rates}')
    refused = CliRunner().invoke(app, [str(one) for one in [*asked, "--policy", policy]])
    assert refused.exit_code != 0
    assert "policy 'strict' is over taxonomy 'chat-13'; the bundle's is 'community'" in str(refused.exception)
