"""Models that teach: runs, bundles and linear stages, each with calibrated probabilities of any conversation.

Invariant: a linear stage answers for a chat that it was fitted on with its probabilities out of fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.bundle.bundle import load_bundle
from model.bundle.files import sha256_of
from model.bundle.manifest import MANIFEST_NAME
from model.calibration import softmax
from model.inference.session import OnnxSession
from model.tokenization import ConversationTokenizer
from model.windowing import Windowing, render
from schemas import Taxonomy, Turn
from training_pipeline.bundle.calibrate import session_logits
from training_pipeline.bundle.export import read_weights
from training_pipeline.bundle.scaling_fit import fit_temperature
from training_pipeline.cascade.early_exit_graph import without_leaving
from training_pipeline.chats.data_record import DATA_NAME, read_recorded_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.data.chat_rows import ChatRow
from training_pipeline.encoder.files import TOKENIZER_FILE, read_encoder_shape
from training_pipeline.graph.onnx_graph import FloatProducts, build_graph
from training_pipeline.linear.linear_model import MODEL_NAME as LINEAR_NAME
from training_pipeline.linear.linear_model import LinearModel, load_linear
from training_pipeline.linear.linear_training import read_out_of_fold
from training_pipeline.train.config import read_config
from training_pipeline.train.run_folder import chosen_epoch, encoder_of, weights_path


class Teacher(Protocol):
    """Something that knows the category of a conversation, more or less."""

    @property
    def digest(self) -> str:
        """Digest of what decides its answers."""

    @property
    def unseen(self) -> frozenset[str] | None:
        """Ids of labelled chats that it has not learned from; None where that is not known."""

    def probabilities(self, conversations: Sequence[Sequence[Turn]]) -> NDArray[np.float32]:
        """Return calibrated probabilities, float32 [n_conversations, n_categories]; each row sums to 1."""


@dataclass(frozen=True)
class NetworkTeacher:
    """A network, as a run left it (in float) or as a bundle holds it."""

    session: OnnxSession
    tokenizer: ConversationTokenizer
    windowing: Windowing
    temperature: float
    digest: str
    unseen: frozenset[str] | None

    def probabilities(self, conversations: Sequence[Sequence[Turn]]) -> NDArray[np.float32]:
        """See `Teacher`."""
        rows = self.tokenizer.encode([render(turns, self.windowing) for turns in conversations])
        return softmax(session_logits(self.session, rows), temperature=self.temperature)


@dataclass(frozen=True)
class LinearTeacher:
    """A linear stage."""

    model: LinearModel
    out_of_fold: dict[str, NDArray[np.float32]]
    digest: str
    unseen: frozenset[str] | None = None

    def probabilities(self, conversations: Sequence[Sequence[Turn]]) -> NDArray[np.float32]:
        """See `Teacher`."""
        texts = [render(turns, self.model.record.windowing) for turns in conversations]
        answers = self.model.probabilities(texts)
        for i, text in enumerate(texts):
            known = self.out_of_fold.get(sha256_of(text.encode()))
            if known is not None:
                answers[i] = known / known.sum()
        return answers


def load_teacher(path: Path, data: Sequence[Path], taxonomy: Taxonomy, *, n_threads: int) -> Teacher:
    """Load the run, bundle or linear stage in a folder.

    Args:
        path: The folder.
        data: The labelled chats; a run calibrates itself on those that it held out, so they must be its own.
        taxonomy: The student's.
        n_threads: Inference threads.

    Raises:
        ValueError: the folder is none of these, is of another taxonomy, or a run was trained on other chats.
        model.errors.BundleError: the bundle is refused.
    """
    if (path / MANIFEST_NAME).is_file():
        return _bundle_teacher(path, taxonomy, n_threads)
    if (path / LINEAR_NAME).is_file():
        model, digest = load_linear(path)
        _require_same(path, model.record.taxonomy, taxonomy)
        return LinearTeacher(model, read_out_of_fold(path), digest)
    if (path / DATA_NAME).is_file():
        return _run_teacher(path, data, taxonomy, n_threads)
    raise ValueError(
        f"{path}: holds none of {MANIFEST_NAME}, {LINEAR_NAME}, {DATA_NAME}; expected the folder of a bundle, of "
        "`train-linear` or of `train`"
    )


@dataclass(frozen=True)
class TeacherAnswers:
    """What teachers say when they are asked; see `soft_labels.Answers`."""

    teachers: Sequence[Teacher]

    @property
    def digests(self) -> list[str]:
        """See `Answers`."""
        return [teacher.digest for teacher in self.teachers]

    def of(self, rows: Sequence[ChatRow]) -> list[NDArray[np.float32] | None]:
        """See `Answers`."""
        return list(mean_probabilities(self.teachers, [row.turns for row in rows]))


def mean_probabilities(teachers: Sequence[Teacher], conversations: Sequence[Sequence[Turn]]) -> NDArray[np.float32]:
    """Return the plain mean of the teachers' probabilities, float32 [n_conversations, n_categories]."""
    return np.mean([teacher.probabilities(conversations) for teacher in teachers], axis=0, dtype=np.float32)


def unseen_by_all(teachers: Sequence[Teacher]) -> frozenset[str] | None:
    """Return ids of labelled chats that no run among the teachers learned from; None where there is no run.

    What bundles and linear stages learned from is not known here; `is_known_of_all` says whether there are any.
    """
    known = [teacher.unseen for teacher in teachers if teacher.unseen is not None]
    return frozenset.intersection(*known) if known else None


def is_known_of_all(teachers: Sequence[Teacher]) -> bool:
    """Return whether every teacher knows which chats it has not learned from."""
    return all(teacher.unseen is not None for teacher in teachers)


def _require_same(path: Path, found: Taxonomy, wanted: Taxonomy) -> None:
    if found.codes != wanted.codes:
        raise ValueError(
            f"{path}: is a teacher of taxonomy {found.ref} ({', '.join(found.codes)}), the student's is {wanted.ref} "
            f"({', '.join(wanted.codes)}); expected the same categories in the same order; name another --taxonomy"
        )


def _bundle_teacher(path: Path, taxonomy: Taxonomy, n_threads: int) -> NetworkTeacher:
    bundle = load_bundle(path)
    _require_same(path, bundle.taxonomy, taxonomy)
    windowing = bundle.manifest.windowing
    tokenizer = ConversationTokenizer(bundle.tokenizer_json, max_tokens=windowing.max_tokens)
    # An exit answers for speed, with less than the whole network knows.
    model = without_leaving(bundle.model)
    session = OnnxSession(model, n_threads=n_threads, pad_id=tokenizer.pad_id, n_categories=len(taxonomy.codes))
    return NetworkTeacher(session, tokenizer, windowing, bundle.manifest.temperature, bundle.digest, None)


def _run_teacher(run: Path, data: Sequence[Path], taxonomy: Taxonomy, n_threads: int) -> NetworkTeacher:
    config, encoder, epoch = read_config(run), encoder_of(run), chosen_epoch(run)
    _require_same(run, config.taxonomy, taxonomy)
    _, chats = read_recorded_chats(run, data, config)
    training, held_out = split_chats(chats, config)
    tokenizer = ConversationTokenizer(
        (encoder / TOKENIZER_FILE).read_text(encoding="utf-8"), max_tokens=config.windowing.max_tokens
    )
    graph = build_graph(read_weights(run, epoch), read_encoder_shape(encoder, pooling=config.pooling), FloatProducts())
    session = OnnxSession(
        graph.SerializeToString(), n_threads=n_threads, pad_id=tokenizer.pad_id, n_categories=len(taxonomy.codes)
    )
    calibrating = chats.take(held_out)
    temperature = fit_temperature(session_logits(session, calibrating.encode(tokenizer)), calibrating.labels)
    # A repeated id may be on both sides; then it has been learned from.
    unseen = frozenset(calibrating.chat_ids) - frozenset(chats.take(training).chat_ids)
    digest = sha256_of(weights_path(run, epoch).read_bytes() + f"temperature {temperature}".encode())
    return NetworkTeacher(session, tokenizer, config.windowing, temperature, digest, unseen)
