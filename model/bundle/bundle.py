"""Load a bundle, and refuse what cannot be trusted.

Every byte that is used was read once, checked against the manifest's digest, and is used from memory: a file swapped
after the check changes nothing. Links, unknown files and external weight data are refused.
"""

import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from model.bundle.documents import parse_document
from model.bundle.files import read_file, sha256_of, verified_file
from model.bundle.manifest import (
    CALIBRATION_NAME,
    FIRST_STAGE_NAME,
    HEAD_NAME,
    LANGUAGES_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    MODEL_NAME,
    NETWORK_NAME,
    TOKENIZER_NAME,
    Manifest,
)
from model.bundle.registry import POINTER_NAME, is_registry, served_bundle
from model.bundle.signature import verify
from model.calibration import (
    FORMAT_1_DECIMALS,
    WIRE_DECIMALS,
    FloatArray,
    RiskCurves,
    ScoreArray,
    banned_mask,
    policy_scores,
)
from model.cascade.averaging_network import read_network
from model.cascade.first_stage import FirstStage, read_table
from model.described.frozen_encoder import FrozenEncoder, shipped_encoder
from model.described.head import Head, read_head
from model.errors import BundleError
from model.evidence.language import LanguageDetector, read_detector
from schemas import ModelRef, Policy, Taxonomy, TaxonomyError

DEFAULT_BUNDLE_PATH: Final = Path(__file__).parents[1] / "bundles" / "default"

_Parsed = TypeVar("_Parsed")

UNREADABLE: Final = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and `orjson` raise at files whose digests are right and whose contents are not. None has a common base:
NumPy reads an array's header as Python, its sizes as they stand, and an archive as zip."""

_REMEDY = (
    "name the folder that `export`, `describe --out` or `save` wrote (for a worker: MODERATION_MODEL__PATH), or write "
    "it again"
)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, in memory."""

    manifest: Manifest
    digest: str
    """Digest of manifest.json, which holds the digests of all other files: it names the bundle."""
    model: bytes
    tokenizer_json: str
    calibration_probabilities: FloatArray
    """float32 [n_chats, n_categories], calibrated probabilities of chats that training never saw; none of a bundle that
    is not calibrated."""
    calibration_labels: NDArray[np.int64]
    """int64 [n_chats], column index of their true category."""
    calibration_evidence: ScoreArray
    """float64 [n_chats, n_categories], rounded as in verdicts; in a bundle of format 1 the probabilities, which have
    five decimals there."""
    first_stage: FirstStage | None = None
    """What answers before the transformer, where the bundle has it."""

    head: Head | None = None
    """What makes logits of the vectors of `model`, which is the frozen encoder then; None where `model` makes them."""

    languages: LanguageDetector | None = None
    """What tells its languages from others, where the bundle has it."""

    card: str = ""
    """Its model card, Markdown."""

    @property
    def ref(self) -> ModelRef:
        """Name, version and digest as they stand in every verdict."""
        return ModelRef(name=self.manifest.name, version=self.manifest.version, digest=self.digest)

    @property
    def taxonomy(self) -> Taxonomy:
        """The categories, in the order of the model's output columns."""
        return self.manifest.categories

    @property
    def default_policy(self) -> Policy:
        """The policy that is used where none is named."""
        return self.manifest.default_policy

    @property
    def is_calibrated(self) -> bool:
        """Whether its promises rest on labelled chats; without, a policy that bans anything allows nothing."""
        return self.manifest.calibrated

    def risk_curves(self, policy: Policy) -> RiskCurves:
        """Build the risk curves for the categories that count under a policy.

        Raises:
            BundleError: the policy is over another taxonomy, or the calibration chats cannot speak for this banned set.
        """
        try:
            policy.require(self.taxonomy)
            mask = banned_mask(policy.counted, self.taxonomy.codes)
            scores, truly_banned = policy_scores(self.calibration_evidence, mask), mask[self.calibration_labels]
            decimals = FORMAT_1_DECIMALS if self.manifest.format_version == 1 else WIRE_DECIMALS
            if policy.counted and self.is_calibrated:
                return RiskCurves.build(scores, truly_banned, decimals=decimals)
        except TaxonomyError as error:
            raise BundleError(f"{self.ref.name} {self.ref.version}: {error}") from error
        except ValueError as error:
            raise BundleError(f"policy {policy.name!r}: {error}") from error
        return RiskCurves(np.sort(scores[truly_banned]), np.sort(scores[~truly_banned]), decimals)


def load_bundle(path: Path, *, public_key: Path | None = None) -> Bundle:
    """Read and verify the bundle in a folder, or the one that a registry serves.

    Args:
        path: The bundle's folder; or a registry's folder or its pointer file (`model.bundle.registry`).
        public_key: Ed25519 key, PEM: only a registry's bundle is taken, and only signed. None asks for no signature.

    Raises:
        BundleError: a file is missing, unknown, a link or altered, the manifest or the pointer is not understood,
            the pointer names another digest, or the signature is refused.
    """
    if not is_registry(path):
        if public_key is not None:
            raise BundleError(
                f"{path}: holds a bundle and no signature, which {public_key} asks for; expected a registry, whose "
                f"{POINTER_NAME} holds it; promote the bundle with --sign-key"
            )
        return _load_folder(path)
    folder, entry = served_bundle(path)
    if public_key is not None:
        verify(entry.digest, entry.signature, public_key)
    return _load_folder(folder, expected=entry.digest)


def _load_folder(path: Path, *, expected: str | None = None) -> Bundle:
    raw_manifest = read_file(path, MANIFEST_NAME, _REMEDY)
    digest = sha256_of(raw_manifest)
    # Before anything is parsed: what a signature was asked for must not be reached by bytes that nobody signed.
    if expected is not None and digest != expected:
        raise BundleError(f"{path}: digest is {digest[:19]}, {POINTER_NAME} says {expected[:19]}; promote it again")
    manifest = _manifest(path, raw_manifest)
    try:
        unknown = {entry.name for entry in path.iterdir()} - manifest.files.keys() - {MANIFEST_NAME}
    except OSError as error:
        raise BundleError(f"{path}: cannot be listed ({error.strerror}); check the mount and its rights") from error
    if unknown:
        raise BundleError(
            f"{path}: holds {', '.join(sorted(unknown))}; expected only {MANIFEST_NAME}, "
            f"{', '.join(sorted(manifest.files))}; remove what does not belong there"
        )
    contents = {name: verified_file(path, name, entry.digest, _REMEDY) for name, entry in manifest.files.items()}
    return _bundle(path, manifest, digest, contents)


def bundle_of(contents: Mapping[str, bytes], where: Path) -> Bundle:
    """Return the bundle whose files are these, without writing them.

    Args:
        contents: By name, the manifest among them, as they were just made.
        where: Stands in messages.

    Raises:
        BundleError: the manifest or a file is not understood.
    """
    raw_manifest = contents[MANIFEST_NAME]
    return _bundle(where, _manifest(where, raw_manifest), sha256_of(raw_manifest), contents)


def _manifest(path: Path, raw_manifest: bytes) -> Manifest:
    try:
        return parse_document(Manifest, raw_manifest)
    except ValueError as error:
        raise BundleError(
            f"{path / MANIFEST_NAME}: not a manifest this version understands: {error}; {_REMEDY}"
        ) from error


def _bundle(path: Path, manifest: Manifest, digest: str, contents: Mapping[str, bytes]) -> Bundle:
    calibration = _calibration(path, contents, manifest)
    encoder, head = _head_on_encoder(path, manifest, contents)
    return Bundle(
        manifest=manifest,
        digest=digest,
        model=contents[MODEL_NAME] if encoder is None else encoder.model,
        tokenizer_json=_tokenizer_json(path, contents) if encoder is None else encoder.tokenizer_json,
        head=head,
        calibration_probabilities=calibration.probabilities,
        calibration_labels=calibration.labels,
        calibration_evidence=calibration.evidence,
        first_stage=_first_stage(path, manifest, contents),
        languages=_languages(path, manifest, contents),
        card=_parsed(path / MODEL_CARD_NAME, contents, lambda content: content.decode()),
    )


def _tokenizer_json(folder: Path, contents: Mapping[str, bytes]) -> str:
    return _parsed(folder / TOKENIZER_NAME, contents, lambda content: content.decode())


def _head_on_encoder(
    folder: Path, manifest: Manifest, contents: Mapping[str, bytes]
) -> tuple[FrozenEncoder, Head] | tuple[None, None]:
    if manifest.encoder is None:
        return None, None
    encoder = shipped_encoder()
    if encoder.digest != manifest.encoder.digest:
        raise BundleError(
            f"{folder}: its head was fitted on {manifest.encoder.name} {manifest.encoder.digest[:19]}, this version "
            f"ships {encoder.manifest.name} {encoder.digest[:19]}; make it again, with "
            "`python -m training_pipeline describe` or `TextClassifier.save`"
        )
    n_dimensions, n_categories = encoder.manifest.n_dimensions, len(manifest.categories.codes)
    head = _parsed(
        folder / HEAD_NAME,
        contents,
        lambda content: read_head(content, n_dimensions=n_dimensions, n_categories=n_categories),
    )
    return encoder, head


def _first_stage(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> FirstStage | None:
    if manifest.first_stage is None:
        return None
    codes = manifest.categories.codes
    table = _parsed(folder / FIRST_STAGE_NAME, contents, lambda content: read_table(content, len(codes)))
    network = None
    if NETWORK_NAME in contents:
        network = _parsed(folder / NETWORK_NAME, contents, lambda content: read_network(content, len(codes)))
    return FirstStage(table, manifest.first_stage, codes, network)


def _languages(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> LanguageDetector | None:
    rule = manifest.languages
    if rule is None:
        return None
    return _parsed(folder / LANGUAGES_NAME, contents, lambda content: read_detector(content, rule))


def _parsed(path: Path, contents: Mapping[str, bytes], read: Callable[[bytes], _Parsed]) -> _Parsed:
    try:
        return read(contents[path.name])
    except UNREADABLE as error:
        raise BundleError(f"{path}: {error or type(error).__name__}; {_REMEDY}") from error


class _Calibration(NamedTuple):
    labels: NDArray[np.int64]
    probabilities: FloatArray
    evidence: ScoreArray


def _calibration(folder: Path, contents: Mapping[str, bytes], manifest: Manifest) -> _Calibration:
    """Read calibration.json: {"labels": "ABD…", "probabilities": [[…], …]}, from format 2 on "evidence".

    Labels are a list of codes where a code has more than a letter.
    """
    columns, path = manifest.categories.columns, folder / CALIBRATION_NAME
    if not manifest.calibrated:
        empty = np.zeros((0, len(columns)))
        return _Calibration(np.zeros(0, dtype=np.int64), empty.astype(np.float32), empty)
    try:
        document = orjson.loads(contents[CALIBRATION_NAME])
        labels = np.array([columns[code] for code in document["labels"]], dtype=np.int64)
        stored = np.array(document["probabilities"], dtype=np.float64)
        evidence = stored if manifest.format_version == 1 else np.array(document["evidence"], dtype=np.float64)
    except UNREADABLE as error:
        raise BundleError(f"{path}: not readable ({error}); {_REMEDY}") from error
    for rows in (stored, evidence):
        if rows.shape != (len(labels), len(columns)):
            raise BundleError(f"{path}: shape is {rows.shape}, expected ({len(labels)}, {len(columns)}); {_REMEDY}")
    return _Calibration(labels, stored.astype(np.float32), evidence)
