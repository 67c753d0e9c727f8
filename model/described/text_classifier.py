"""Classes from descriptions: a classifier made of a few sentences and, where there are some, examples.

    classifier = TextClassifier.from_descriptions({"cat": "Cats are …", "dog": "Dogs are …"})
    classifier.add_examples("dog", ["Fido likes bones", "bark bark"]).fit()
    classifier.predict(["woof"])
    classifier.save("cat-dog")

It works offline and without labels; an answer is always one of the classes. What `save` writes is a bundle, which the
worker serves.

Invariant: a saved classifier, and a worker with its bundle, answer what this one answers.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
from pydantic import ValidationError

from model.bundle.bundle import Bundle, bundle_of, load_bundle
from model.bundle.files import write_folder
from model.bundle.manifest import MANIFEST_NAME, Manifest
from model.calibration import FloatArray
from model.classifier import Classifier
from model.described.class_names import MAX_NAME_CHARACTERS, codes_of
from model.described.embedding import Embedder
from model.described.fit import Examples, all_prototypes, fit_head, prototype
from model.described.frozen_encoder import shipped_encoder
from model.described.head_bundle import head_bundle
from model.described.sentences import sentences
from model.errors import BundleError, ClassesRefused, RowFailed
from model.evidence.judging import Classification
from model.inference.cpu_quota import available_cpus
from schemas import Role, Taxonomy, Turn, is_visible
from schemas.taxonomy import MAX_CATEGORIES, MAX_DESCRIPTION_CHARACTERS, TaxonomyCategory, TaxonomyRef

MAX_READ_CHARACTERS: Final = 50_000
"""Of a description; the taxonomy keeps its first `MAX_DESCRIPTION_CHARACTERS`."""

_LEAST_CLASSES: Final = 2
_DEFAULT_NAME: Final = "described"


class TextClassifier:
    """Classes, what is known of them, and the fitted head. Not to be shared between threads that call it at once.

    Made by `from_descriptions` or `load`; without arguments, it has no class yet, and learns classes from examples.
    """

    def __init__(
        self,
        name: str | None = None,
        version: str = "1.0.0",
        banned: frozenset[str] = frozenset(),
        n_threads: int = 0,
    ) -> None:
        self._name = name
        self._version = version
        self._banned = banned
        self._n_threads = n_threads or available_cpus()
        self._descriptions: dict[str, str] = {}
        self._examples: dict[str, dict[str, None]] = {}
        self._vectors: dict[str, FloatArray] = {}
        self._contents: dict[str, bytes] | None = None
        self._names: dict[str, str] = {}
        self._classifier: Classifier | None = None
        self._is_loaded = False

    @classmethod
    def from_descriptions(
        cls,
        descriptions: Mapping[str, str],
        *,
        name: str | None = None,
        version: str = "1.0.0",
        banned: Collection[str] = (),
        n_threads: int = 0,
    ) -> Self:
        """Return a classifier of these classes; more may come by `add_examples`.

        Args:
            descriptions: By class, one sentence or many on what belongs to it; none where examples are to say it all.
            name: Of the bundle and its taxonomy; None makes one of the class codes, so that classifiers of other
                classes are never taken for one.
            version: Of both, dotted.
            banned: Classes that the bundle's default policy bans; none means that a worker allows every chat.
            n_threads: Inference threads; 0 follows the CPU quota.

        Raises:
            ClassesRefused: a class or its description cannot be used.
            TypeError: something is not text.
        """
        if not isinstance(descriptions, Mapping):
            raise TypeError(
                f"descriptions are a {type(descriptions).__name__}; expected a mapping, such as "
                '{"cat": "Cats are …", "dog": "Dogs are …"}'
            )
        _check_reference(_DEFAULT_NAME if name is None else name, version)
        made = cls(name, version, _banned(banned), n_threads)
        for class_name, description in descriptions.items():
            _check_class_name(class_name)
            made._descriptions[class_name] = _checked_description(class_name, description)
        made._check_classes()
        return made

    @classmethod
    def load(cls, path: Path | str, *, n_threads: int = 0) -> Self:
        """Return the classifier that `save` wrote, or of any other bundle.

        It answers as it did. It holds no examples, so it cannot be fitted again.

        Raises:
            BundleError: the bundle is refused.
        """
        bundle = load_bundle(Path(path))
        made = cls(bundle.manifest.name, bundle.manifest.version, bundle.taxonomy.banned, n_threads)
        made._is_loaded = True
        made._serve(bundle, {code: bundle.taxonomy.names[code] for code in bundle.taxonomy.codes})
        return made

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, described ones first."""
        if self._is_loaded:
            return tuple(self._names.values())
        return tuple(dict.fromkeys([*self._descriptions, *self._examples]))

    def add_examples(self, class_name: str, texts: str | Sequence[str]) -> Self:
        """Add texts of a class; a class that has no description is learnt from its examples alone.

        Args:
            class_name: Of a described class, or of a new one.
            texts: One text or several; one that the class has already counts once.

        Raises:
            ClassesRefused: the class cannot be used, a text is empty, or the classifier was loaded.
            TypeError: something is not text.
        """
        _check_class_name(class_name)
        if self._is_loaded:
            raise ClassesRefused(
                "a loaded classifier holds no examples of before, so that fitting it again would forget them; expected "
                "one of `from_descriptions`; make it anew with all of its examples"
            )
        given = [texts] if isinstance(texts, str) else _listed(texts, f"examples of class {class_name!r}")
        if not given:
            raise ClassesRefused(f"class {class_name!r}: no example given; expected at least one text")
        _check_texts(given, f"example {{}} of class {class_name!r}")
        is_new = class_name not in self._descriptions and class_name not in self._examples
        self._examples.setdefault(class_name, {}).update(dict.fromkeys(given))
        self._contents = self._classifier = None
        if is_new:
            self._check_classes()
        return self

    def fit(self) -> Self:
        """Learn from descriptions and examples; takes a few milliseconds a text.

        Without a call, the first question or `save` fits.

        Raises:
            ClassesRefused: there are fewer than two classes.
        """
        if self._is_loaded or self._contents is not None:
            return self
        self._check_complete()
        names = self.classes
        columns = {name: column for column, name in enumerate(names)}
        self._embed()
        described = {columns[name]: prototype(self._sentence_vectors(name)) for name in self._descriptions}
        pairs = [(columns[name], text) for name, texts in self._examples.items() for text in texts]
        classes = np.array([column for column, _ in pairs], dtype=np.int64)
        encoder = shipped_encoder()
        vectors = np.array([self._vectors[text] for _, text in pairs], dtype=np.float32)
        examples = Examples(vectors.reshape(-1, encoder.manifest.n_dimensions), classes, encoder.text_shift)
        head = fit_head(all_prototypes(described, len(names), examples), examples)
        counts = {name: len(self._examples.get(name, ())) for name in names}
        taxonomy = self._taxonomy(names)
        self._contents = head_bundle(head, taxonomy, encoder, counts)
        bundle = bundle_of(self._contents, Path(taxonomy.name))
        self._serve(bundle, dict(zip(bundle.taxonomy.codes, names, strict=True)))
        return self

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return the class of each text.

        Raises:
            ClassesRefused: a text is empty, or there are fewer than two classes.
            TypeError: `texts` is no list of texts.
        """
        return [self._names[answer.category] for answer in self._classify(texts)]

    def predict_proba(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Return the probabilities of each text by class, in the order of `classes`; see `predict`.

        They rank the classes. They were never calibrated on labelled texts, and claim less than such texts bore out.
        """
        return [
            {self._names[code]: probability for code, probability in answer.probabilities.items()}
            for answer in self._classify(texts)
        ]

    def save(self, path: Path | str) -> Path:
        """Write the bundle's folder, in place of an earlier one, and return it.

        Raises:
            ClassesRefused: there is nothing to fit, or the classifier was loaded.
            BundleError: the folder holds something else than a bundle of this kind.
        """
        if self._is_loaded:
            raise ClassesRefused("a loaded classifier is a bundle already; copy its folder")
        folder = Path(path)
        _check_replaceable(folder)
        self.fit()
        write_folder(folder, self._contents or {}, marker=MANIFEST_NAME)
        return folder

    def _classify(self, texts: Sequence[str]) -> list[Classification]:
        given = _listed(texts, "texts")
        _check_texts(given, "text {}")
        self.fit()
        if self._classifier is None or not given:
            return []
        results, _ = self._classifier.classify([[Turn(Role.USER, text)] for text in given])
        failed = next((result for result in results if isinstance(result, RowFailed)), None)
        if failed is not None:
            raise failed
        return [result for result in results if isinstance(result, Classification)]

    def _serve(self, bundle: Bundle, names: dict[str, str]) -> None:
        self._names = names
        self._classifier = Classifier(bundle, bundle.default_policy, n_threads=self._n_threads)

    def _embed(self) -> None:
        described = [text for description in self._descriptions.values() for text in sentences(description)]
        wanted = [*described, *(text for texts in self._examples.values() for text in texts)]
        missing = [text for text in dict.fromkeys(wanted) if text not in self._vectors]
        if missing:
            found = Embedder(shipped_encoder(), n_threads=self._n_threads).vectors(missing)
            self._vectors.update(zip(missing, found, strict=True))

    def _sentence_vectors(self, name: str) -> FloatArray:
        return np.stack([self._vectors[text] for text in sentences(self._descriptions[name])])

    def _taxonomy(self, names: Sequence[str]) -> Taxonomy:
        codes = codes_of(names)
        categories = [
            TaxonomyCategory(
                code=codes[name],
                name=name,
                description=self._descriptions.get(name, "")[:MAX_DESCRIPTION_CHARACTERS],
                banned=name in self._banned,
            )
            for name in names
        ]
        name = self._name or _name_of([category.code for category in categories])
        return Taxonomy(name=name, version=self._version, categories=tuple(categories))

    def _check_classes(self) -> None:
        names = self.classes
        if len(names) > MAX_CATEGORIES:
            raise ClassesRefused(
                f"found {len(names)} classes; expected {_LEAST_CLASSES} to {MAX_CATEGORIES}; join some, or make two "
                "classifiers, one behind the other"
            )
        codes_of(names)

    def _check_complete(self) -> None:
        names = self.classes
        if len(names) < _LEAST_CLASSES:
            raise ClassesRefused(
                f"found {len(names)} classes{f' ({names[0]!r})' if names else ''}; expected {_LEAST_CLASSES} to "
                f"{MAX_CATEGORIES}; describe another, or add examples of one"
            )
        if unknown := sorted(self._banned - set(names)):
            raise ClassesRefused(
                f"banned names {', '.join(map(repr, unknown))}; the classes are {', '.join(map(repr, names))}; name "
                "some of them"
            )
        _check_descriptions_differ(self._descriptions)


def _name_of(codes: Sequence[str]) -> str:
    """Return the name of a taxonomy that nobody named: the same for the same codes in the same order."""
    # No code holds a line's end.
    digest = hashlib.sha256("\n".join(codes).encode()).hexdigest()
    return f"{_DEFAULT_NAME}-{digest[:8]}"


def _check_replaceable(folder: Path) -> None:
    """Raise BundleError where a folder holds anything that `save` did not write: replacing it would delete that."""
    if not (folder / MANIFEST_NAME).is_file():
        return
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise BundleError(
            f"{folder}: its {MANIFEST_NAME} is no bundle's; expected nothing, or what `save` wrote; name another folder"
        ) from error
    foreign = {entry.name for entry in folder.iterdir()} - manifest.files.keys() - {MANIFEST_NAME}
    if manifest.encoder is None or foreign:
        found = "holds a trained bundle" if manifest.encoder is None else f"also holds {', '.join(sorted(foreign))}"
        raise BundleError(f"{folder}: {found}; expected nothing, or what `save` wrote; name another folder")


def _check_reference(name: str, version: str) -> None:
    try:
        TaxonomyRef(name=name, version=version)
    except ValidationError as error:
        raise ClassesRefused(
            f"name {name!r} and version {version!r}; expected a name of letters, digits, dots, dashes and underscores, "
            "at most 64, and a version such as 1.0.0; change them"
        ) from error


def _check_class_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a class's name is a {type(name).__name__}; expected text")
    if not is_visible(name):
        raise ClassesRefused("a class has no name; expected some visible character; name the class")
    if name != name.strip() or len(name) > MAX_NAME_CHARACTERS:
        raise ClassesRefused(
            f"class {name[:40]!r}: the name has {len(name)} characters; expected at most {MAX_NAME_CHARACTERS}, "
            "without white space around them; shorten it, and say the rest in the description"
        )


def _checked_description(name: str, description: object) -> str:
    if not isinstance(description, str):
        raise TypeError(f"the description of class {name!r} is a {type(description).__name__}; expected text")
    if not is_visible(description):
        raise ClassesRefused(
            f"class {name!r}: its description is empty; expected a sentence on what belongs to it; write one, or leave "
            "the class out here and give it examples"
        )
    if len(description) > MAX_READ_CHARACTERS:
        raise ClassesRefused(
            f"class {name!r}: its description has {len(description):,} characters; expected at most "
            f"{MAX_READ_CHARACTERS:,}; say what belongs to the class, and give the rest as examples"
        )
    return description.strip()


def _check_descriptions_differ(descriptions: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for name, description in descriptions.items():
        other = seen.setdefault(" ".join(description.casefold().split()), name)
        if other != name:
            raise ClassesRefused(
                f"classes {other!r} and {name!r} have the same description; expected one that tells them apart; change "
                "one, or leave it out and give the class examples"
            )


def _banned(names: Collection[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError(f"banned is the text {names!r}; expected a list of class names; write [{names!r}]")
    return frozenset(names)


def _listed(texts: Sequence[str], what: str) -> list[str]:
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise TypeError(f"{what} are a {type(texts).__name__}; expected a list of texts; write [text] for one of them")
    return list(texts)


def _check_texts(texts: Sequence[object], what: str) -> None:
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise TypeError(f"{what.format(number)} is a {type(text).__name__}; expected text")
        if not is_visible(text):
            raise ClassesRefused(f"{what.format(number)} holds no visible character; expected some text; leave it out")
