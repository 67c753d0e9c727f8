"""The model card of a bundle, written from its own figures."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from model.bundle.manifest import ClassGroup, FirstStageFields, Thresholds
from model.bundle.thresholds import CalibrationSize
from model.evidence.rule import EvidenceRule
from schemas import Policy, Taxonomy
from training_pipeline.bundle.model_card_limits import evasion_limit, label_limit, language_limit, length_limit
from training_pipeline.bundle.model_card_uses import calibration_section, purpose
from training_pipeline.encoder.source import UNKNOWN_SOURCE, EncoderSource, licence_notice
from training_pipeline.probes.card import bias_limit, probes_section

_FIRST_STAGE: Final = """\
- First stage: one-vs-rest logistic regression on hashed n-grams of token ids, and a network of one hidden layer
  on the mean of the token vectors. Their weighted sum answers alone from a confidence of {exit_from}{sides}. Elsewhere
  its logits count {blend_weight} beside the transformer's."""

_FIRST_STAGE_SIDES: Final = """ where it is
  also sure of the side: a banned probability of at most {margin} or at least one minus that"""

_FIRST_STAGE_ACCOUNT: Final = """\
- On the agreed chats of {name} the first stage answers {exit_ratio:.1%}, {accuracy_of_exits:.1%} of them right
  (the transformer: {accuracy_of_the_same_chats_without:.1%}). With it and without it: accuracy {on[accuracy]} and
  {off[accuracy]}{pair}."""

_FIRST_STAGE_PAIR: Final = """, banned -> safe where safe -> banned is 2.9 %: {at_29} and {without_at_29};
  {banned_exits_answered_safe:.1%} of the banned chats leave it as safe"""

_EARLY_EXITS: Final = """\
- Exits: after layers {layers} a network of one hidden layer on the mean of a row's token vectors answers in place of
  the layers that follow, from a confidence of {confidence}{sides}."""

_EARLY_EXIT_ACCOUNT: Final = """\
- Of the {n_chats_reached} agreed chats of {name} that reach the transformer, {shares}. With the exits and without
  them: accuracy {on[accuracy]} and {off[accuracy]}{pair}."""

_EXITS_PAIR: Final = """, banned -> safe where safe -> banned is 2.9 %: {at_29} and
  {without_at_29}"""

_PIECES: Final = """\
- Whole chats: the last {covered} characters of the users' messages are also read in pieces of at most {length}, up to
  {most} of them. The evidence of a category is the larger of the main window's probability and the largest piece's
  times the category's weight (banned: {weights}); scores are summed from evidence. What looks encoded or disguised is
  read a second time without. A chat of which something was not read is `review` at best."""

_AT_29: Final = "banned_to_safe_rate_at_safe_to_banned_0.029"
_PERMISSIVE: Final = frozenset({"own", "permissive"})

_CARD: Final = """# {name} {version}

{purpose}
## Model

- Encoder: {encoder}.
  Fine-tuned as a whole; {pooling} pooling and one linear layer.
- Input: the last {n_messages} messages, each cut to its head and tail, {max_tokens} tokens at most.
- Quantisation: INT8 weights and embeddings, activations scaled per token, so that a verdict does not depend on the
  batch it was computed in.
{first_stage}{early_exits}{pieces}
## Training data

{n_chats} conversations ({n_held_out} of them held out to calibrate), labelled under taxonomy {taxonomy}, most of
them by one annotator. None of these texts is part of this bundle or of the repository, except the conversations
written for this project.

| licence class | conversations |
| --- | --- |
{licences}

{licence_statement}

| source | conversations |
| --- | --- |
{sources}

Files, by digest: {files}.
{teachers}
## Figures

{figures}

{parity}
{probes}
## Calibration and its guarantee

{calibration}
## Limits

{language_limit}
{length_limit}
{evasion_limit}
{label_limit}
{left_out}{bias}
{notice}"""

_NOTICE: Final = """
## Notice

{text}"""

_MIXED_LICENCES: Final = """\
{n_other} of them come from sources whose licence is non-commercial, share-alike or not stated. They were used for
training only, and none is shipped. Whether weights learned from such texts may be used commercially is not settled
everywhere: have it decided for your case, or train again with `--licence-class permissive`."""

_PERMISSIVE_LICENCES: Final = "All of them are the project's own or under a permissive licence."

_FIGURE_ROWS: Final = (
    ("accuracy", "accuracy"),
    ("macro_f1", "macro F1"),
    ("n_categories", "categories with chats, which macro F1 runs over"),
    ("cross_category_error_rate", "banned/safe confusions"),
    ("banned_to_safe_rate", "banned -> safe (most probable category)"),
    ("safe_to_banned_rate", "safe -> banned (most probable category)"),
    ("banned_to_safe_rate_at_safe_to_banned_0.029", "banned -> safe where safe -> banned is 2.9 %"),
    ("banned_to_safe_rate_at_safe_to_banned_0.044", "banned -> safe where safe -> banned is 4.4 %"),
    ("expected_calibration_error", "expected calibration error"),
)


def model_card(
    fields: Mapping[str, Any], metrics: Mapping[str, Any], thresholds: Thresholds, size: CalibrationSize
) -> str:
    """Return the card, Markdown.

    Args:
        fields: name, version, taxonomy, policy, windowing, temperature and training_data, as in the manifest.
        metrics: Figures by data set, as they stand in the manifest.
        thresholds: Operating points of the default policy.
        size: Of calibration.json, and what it suffices for.
    """
    data = fields["training_data"]
    source = EncoderSource.model_validate(data["encoder"]) if "encoder" in data else UNKNOWN_SOURCE
    taxonomy: Taxonomy = fields["taxonomy"]
    policy: Policy = fields["policy"]
    return _CARD.format(
        name=fields["name"],
        version=fields["version"],
        purpose=purpose(taxonomy, policy),
        taxonomy=taxonomy.ref,
        encoder=source.sentence(),
        pooling="first-token" if data.get("pooling") == "cls" else "mean",
        notice=_NOTICE.format(text=notice) if (notice := licence_notice(source)) else "",
        n_messages=fields["windowing"].max_messages,
        max_tokens=fields["windowing"].max_tokens,
        n_chats=data["n_chats"],
        n_held_out=data["n_chats_held_out"],
        first_stage=_first_stage(fields.get("first_stage"), metrics),
        early_exits=_early_exits(metrics),
        pieces=_pieces(fields.get("evidence"), policy),
        language_limit=language_limit(fields.get("languages")),
        length_limit=length_limit(fields.get("evidence")),
        evasion_limit=evasion_limit(fields.get("evidence")),
        licences=_rows(data["n_chats_by_licence_class"]),
        licence_statement=_licence_statement(data["n_chats_by_licence_class"]),
        sources=_rows(data["n_chats_by_source"]),
        files=", ".join(f"{file['name']} ({file['digest'][:19]}…)" for file in data["files"]),
        teachers=_teachers(data),
        figures="\n".join(_figures(name, report) for name, report in metrics.items() if "agreed" in report)
        or "None were measured at export.",
        calibration=calibration_section(_scaling(fields), thresholds, size, policy),
        label_limit=label_limit(taxonomy),
        left_out="".join(f"- {sentence}\n" for sentence in metrics.get("left_out", {}).values()),
        parity=_parity(metrics.get("parity")),
        probes=probes_section(metrics["probes"]) if "probes" in metrics else "",
        bias=bias_limit(metrics.get("probes")),
    )


def _scaling(fields: Mapping[str, Any]) -> str:
    groups: Sequence[ClassGroup] | None = fields.get("class_groups")
    if groups is None:
        return f"Temperature {fields['temperature']}"
    parts = (f"temperature {group.temperature} and bias {group.bias} for {', '.join(group.codes)}" for group in groups)
    return "Logits scaled by class group (" + "; ".join(parts) + ")"


def _teachers(data: Mapping[str, Any]) -> str:
    """Say who taught a student; nothing where there was no teacher."""
    if "teachers" not in data:
        return ""
    names = ", ".join(f"{digest[:19]}…" for digest in data["teachers"])
    ratio = data["mixing"]["hard_ratio"]
    return (
        f"\nDistilled: the targets are the mean answers of {names} and, with weight {ratio}, the annotators' labels.\n"
    )


def _first_stage(fields: FirstStageFields | None, metrics: Mapping[str, Any]) -> str:
    """Describe the first stage and what it costs; nothing where there is none."""
    if fields is None:
        return ""
    sides = "" if fields.exit_sides is None else _FIRST_STAGE_SIDES.format(margin=fields.exit_sides.margin)
    lines = [_FIRST_STAGE.format(exit_from=fields.exit_from, sides=sides, blend_weight=fields.blend_weight)]
    for name, report in metrics.items():
        if isinstance(report, dict) and (account := report.get("first_stage")):
            on, off = account["with"], account["without"]
            numbers = {"at_29": on[_AT_29], "without_at_29": off[_AT_29], **account}
            pair = "" if on[_AT_29] is None else _FIRST_STAGE_PAIR.format(**numbers)
            lines.append(_FIRST_STAGE_ACCOUNT.format(name=name, on=on, off=off, pair=pair, **account))
    return "\n".join([*lines, ""])


def _early_exits(metrics: Mapping[str, Any]) -> str:
    """Describe the exits and what they cost; nothing where there are none."""
    exits = metrics.get("early_exits")
    if exits is None:
        return ""
    layers = ", ".join(str(layer) for layer in exits["after_layers"])
    sides = exits["sides"]
    sure = "" if sides is None else f" and where it is sure of the side as above ({sides['margin']})"
    lines = [_EARLY_EXITS.format(layers=layers, confidence=exits["confidence"], sides=sure)]
    for name, report in metrics.items():
        if isinstance(report, dict) and "agreed" in report and (account := report.get("early_exits")):
            on, off = account["with"], account["without"]
            left = account["exit_ratio_after_layer"].items()
            shares = ", ".join(f"{ratio:.1%} leave after layer {layer}" for layer, ratio in left) or "none leaves early"
            pair = "" if on[_AT_29] is None else _EXITS_PAIR.format(at_29=on[_AT_29], without_at_29=off[_AT_29])
            lines.append(_EARLY_EXIT_ACCOUNT.format(name=name, shares=shares, on=on, off=off, pair=pair, **account))
    return "\n".join([*lines, ""])


def _pieces(rule: EvidenceRule | None, policy: Policy) -> str:
    """Describe what is read besides the main window; nothing where nothing is."""
    if rule is None:
        return ""
    weights = ", ".join(f"{code} {rule.weights[code]}" for code in sorted(policy.banned))
    pieces = rule.pieces
    text = _PIECES.format(
        covered=pieces.covered_characters, length=pieces.piece_characters, most=pieces.max_pieces, weights=weights
    )
    return f"{text}\n"


def _parity(report: Mapping[str, Any] | None) -> str:
    """Say what quantisation costs; nothing where it was not measured."""
    if report is None:
        return "What quantisation costs was not measured."
    in_float, int8 = report["runtimes"][1:]
    pair = f", banned -> safe {int8['banned_to_safe_rate']} against {in_float['banned_to_safe_rate']}"
    return (
        f"INT8 against the float graph on {report['n_chats']} conversations: the category of torch on "
        f"{int8['agreement_ratio']:.1%} of them, accuracy {int8['accuracy']} against {in_float['accuracy']}"
        f"{'' if int8['banned_to_safe_rate'] is None else pair}."
    )


def _licence_statement(n_chats_by_class: Mapping[str, int]) -> str:
    n_other = sum(n for name, n in n_chats_by_class.items() if name not in _PERMISSIVE)
    return _MIXED_LICENCES.format(n_other=n_other) if n_other else _PERMISSIVE_LICENCES


def _rows(counts: Mapping[str, int]) -> str:
    return "\n".join(f"| {name} | {n} |" for name, n in counts.items())


def _figures(name: str, report: Mapping[str, Any]) -> str:
    agreed, everything = report["agreed"], report["all"]
    lines = [
        f"On {name}, measured through the serving classes:",
        "",
        f"    python -m training_pipeline evaluate --bundle BUNDLE --data {name}.jsonl",
        "",
        f"| figure | agreed ({agreed['n_chats']} chats, {agreed['n_banned']} banned) | all ({everything['n_chats']}) |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {title} | {agreed[key]} | {everything[key]} |" for key, title in _FIGURE_ROWS if agreed.get(key) is not None
    ]
    lines += [
        f"| {group} -> {decision} (default policy) | {agreed[f'decisions_{group}'][decision]} | {value} |"
        for group in ("banned", "safe")
        for decision, value in everything.get(f"decisions_{group}", {}).items()
    ]
    return "\n".join([*lines, ""])
