"""Classes from descriptions: what is learnt, what is refused, and that a saved bundle answers the same."""

import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from model import BundleError, ClassesRefused, Classifier, TextClassifier, load_bundle
from model.bundle.bundle import DEFAULT_BUNDLE_PATH
from model.described.text_classifier import MAX_READ_CHARACTERS
from schemas import Decision, Role, Turn
from schemas.taxonomy import MAX_DESCRIPTION_CHARACTERS

CAT = """Cats are generally more independent and aloof. Cats are also more territorial and may be more aggressive when
defending their territory. Cats are self-grooming animals, using their tongues to keep their coats clean and healthy.
Cats use body language and vocalizations, such as meowing and purring, to communicate.  An example cat is whiskers, who
is a cat who lives in a house with a human. Another example cat is furball, who likes to eat food and sleep.  A famous
cat is garfield, who is a cat who likes to eat lasagna."""
DOG = """Dogs are social animals that live in groups, called packs, in the wild. They are also highly intelligent and
trainable. Dogs are also known for their loyalty and affection towards their owners. Dogs are also known for their
ability to learn and perform a variety of tasks, such as herding, hunting, and guarding.  An example dog is snoopy, who
is the best friend of charlie brown.  Another example dog is clifford, who is a big red dog."""
SENTENCES = {
    "woof": "dog",
    "I like to sharpen my claws on the furniture.": "cat",
    "I like to roll in the mud.": "dog",
    "I like to run any play with a ball.": "dog",
    "I like to sleep under the bed and purr.": "cat",
    "My owner is charlie brown.": "dog",
    "Meow, human! I'm famished! Where's my food?": "cat",
    "Purr-fect.": "cat",
    "Hiss! Who dared to wake me from my nap? I'll have my revenge... later.": "cat",
    "I'm so happy to see you! Can we go for a walk/play fetch/get treats now?": "dog",
    "I'm feeling a little ruff today, can you give me a belly rub to make me feel better?": "dog",
}
PETS = {"cat": "Cats meow and purr.", "dog": "Dogs bark and fetch."}


@pytest.fixture(scope="module")
def pets() -> TextClassifier:
    """Return a fitted classifier of two described classes."""
    return TextClassifier.from_descriptions({"cat": CAT, "dog": DOG}).fit()


def test_two_descriptions_tell_ten_of_eleven_sentences_apart_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published classifier's own example; its users have no labels, and need no network here."""

    def refused(*_: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refused)
    found = TextClassifier.from_descriptions({"cat": CAT, "dog": DOG}).predict(list(SENTENCES))
    assert sum(one == other for one, other in zip(found, SENTENCES.values(), strict=True)) >= 10


def test_every_answer_is_a_class_and_its_probabilities_sum_to_one(pets: TextClassifier) -> None:
    """Whatever the text: short, long, in another language."""
    texts = ["?", "woof " * 12_500, "喵", "Grüß Gott", "x" * 50_000]
    for named, probabilities in zip(pets.predict(texts), pets.predict_proba(texts), strict=True):
        assert list(probabilities) == ["cat", "dog"]
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert named == max(probabilities, key=probabilities.__getitem__)
    assert pets.predict([]) == []


def test_probabilities_claim_little(pets: TextClassifier) -> None:
    """Nobody measured them: two short descriptions do not make one sure."""
    surest = [max(probabilities.values()) for probabilities in pets.predict_proba(list(SENTENCES))]
    assert max(surest) < 0.95
    assert sum(surest) / len(surest) < 10 / 11


def test_a_saved_classifier_answers_the_same_and_a_worker_would_serve_it(pets: TextClassifier, tmp_path: Path) -> None:
    """The bundle is the classifier: any loader of bundles takes it."""
    texts = list(SENTENCES)
    folder = pets.save(tmp_path / "pets")
    assert TextClassifier.load(folder).predict_proba(texts) == pets.predict_proba(texts)

    bundle = load_bundle(folder)
    classifier = Classifier(bundle, bundle.default_policy, n_threads=1)
    answers, _ = classifier.classify([[Turn(Role.USER, text)] for text in texts])
    assert [answer.probabilities for answer in answers] == pets.predict_proba(texts)  # type: ignore[union-attr]
    assert {answer.stage.value for answer in answers} == {"head"}  # type: ignore[union-attr]
    assert not bundle.is_calibrated
    assert sorted(path.name for path in folder.iterdir()) == ["MODEL_CARD.md", "head.npz", "manifest.json"]


def test_saving_twice_gives_the_same_bytes_and_replaces_the_earlier_one(tmp_path: Path) -> None:
    """The digest names what was learnt, not when."""
    folders = [TextClassifier.from_descriptions(PETS).save(tmp_path / "pets") for _ in range(2)]
    digests = {load_bundle(folder).digest for folder in folders}
    assert len(digests) == 1


def test_classifiers_that_nobody_named_have_one_name_only_where_their_classes_are_the_same() -> None:
    """Verdicts are compared within one taxonomy, which is known by its name."""

    def named(*classes: str, **fields: str) -> str:
        classifier = TextClassifier.from_descriptions({one: f"About {one}." for one in classes}, **fields)  # type: ignore[arg-type]
        return classifier._taxonomy(classifier.classes).name

    assert named("cat", "dog") == named("cat", "dog", version="2.0.0")
    assert re.fullmatch("described-[0-9a-f]{8}", named("cat", "dog"))
    assert len({named("cat", "dog"), named("dog", "cat"), named("cat", "dog", "bird"), named("sport", "art")}) == 4
    assert named("cat", "dog", name="pets") == "pets"


def test_a_folder_with_something_else_is_not_replaced(pets: TextClassifier, tmp_path: Path) -> None:
    """A typing error must not cost a home directory."""
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Exception, match=r"holds no manifest\.json; expected nothing or a bundle"):
        pets.save(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_folder_that_save_did_not_write_is_not_replaced(tmp_path: Path) -> None:
    """A manifest alone makes no bundle: a project's own, a trained bundle, or files of the user beside a saved one."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"name": "a browser extension"}')
    (folder / "notes.txt").write_text("keep")
    made = TextClassifier.from_descriptions(PETS)
    with pytest.raises(BundleError, match=r"is no bundle's; expected nothing, or what `save` wrote; name another"):
        made.save(folder)
    assert (folder / "notes.txt").read_text() == "keep"
    saved = made.save(tmp_path / "pets")
    (saved / "notes.txt").write_text("keep")
    with pytest.raises(BundleError, match=r"also holds notes\.txt"):
        made.save(saved)
    (saved / "notes.txt").unlink()
    assert made.save(saved) == saved
    trained = tmp_path / "trained"
    trained.mkdir()
    shutil.copy(DEFAULT_BUNDLE_PATH / "manifest.json", trained)
    with pytest.raises(BundleError, match="holds a trained bundle"):
        made.save(trained)
    assert (trained / "manifest.json").exists()


def test_examples_are_learnt_where_the_description_says_nothing_of_them() -> None:
    """They are why a user adds some: each is then of its class, and the other class keeps its texts."""
    classifier = TextClassifier.from_descriptions(PETS)
    classifier.add_examples("dog", ["Fido likes bones", "Rex waits at the gate"]).add_examples(
        "dog", "Fido likes bones"
    )
    assert classifier.predict(["Fido likes bones", "Rex waits at the gate", "kitten"]) == ["dog", "dog", "cat"]


@pytest.mark.parametrize("make", [TextClassifier, lambda: TextClassifier.from_descriptions({})])
def test_examples_alone_make_classes(make: Callable[[], TextClassifier]) -> None:
    """Whoever has texts and no sentence about them starts from nothing."""
    made = make()
    with pytest.raises(ClassesRefused, match=r"found 0 classes; .*add examples"):
        made.fit()
    made.add_examples("cat", ["my kitten purrs", "meow"]).add_examples("dog", ["the puppy barks", "woof woof"])
    assert made.predict(["a cat that meows", "a dog that barks"]) == ["cat", "dog"]


def test_a_class_without_a_description_is_learnt_from_its_examples() -> None:
    """One such class among described ones, and all of them."""
    mixed = TextClassifier.from_descriptions(PETS).add_examples("bird", ["tweet tweet", "my parrot sings"])
    assert mixed.classes == ("cat", "dog", "bird")
    assert mixed.predict(["the canary sang this morning", "puppy", "kitten"]) == ["bird", "dog", "cat"]
    bare = TextClassifier.from_descriptions({})
    bare.add_examples("dog", ["woof woof", "my dog barks"]).add_examples("cat", ["meow", "my kitten purrs"])
    assert bare.predict(["a puppy", "a feline"]) == ["dog", "cat"]


def test_ten_examples_a_class_win_against_a_description_that_contradicts_them() -> None:
    """What people labelled counts more than what somebody wrote."""
    classifier = TextClassifier.from_descriptions({"cat": "Dogs bark and fetch.", "dog": "Cats meow and purr."})
    classifier.add_examples("cat", [f"my cat {verb} all day" for verb in _VERBS])
    classifier.add_examples("dog", [f"my dog {verb} all day" for verb in _VERBS])
    assert classifier.predict(["the cat is on the roof", "the dog is in the yard"]) == ["cat", "dog"]


def test_fifty_examples_of_one_class_leave_the_others_their_texts() -> None:
    """Examples look like texts and descriptions do not: the class that has some must not take everything."""
    classifier = TextClassifier.from_descriptions(
        {"sport": "News about sport.", "politics": "News about politics.", "technology": "News about technology."}
    )
    classifier.add_examples("technology", [f"gadget number {n} has a chip and a screen" for n in range(50)])
    texts = ["the match ended 2:1", "parliament voted on the law", "a new phone", "the coach resigned", "tax reform"]
    assert classifier.predict(texts) == ["sport", "politics", "technology", "sport", "politics"]


def test_names_that_are_no_codes_get_codes_and_stay_the_names(tmp_path: Path) -> None:
    """Users name classes in words; verdicts and metrics need codes."""
    classifier = TextClassifier.from_descriptions({"customer service": "The help desk.", "Größe & Farbe": "Sizes."})
    taxonomy = load_bundle(classifier.save(tmp_path / "shop")).taxonomy
    assert taxonomy.codes == ("customer-service", "grosse-farbe")
    assert TextClassifier.load(tmp_path / "shop").predict(["the agent on the phone"]) == ["customer service"]


def test_the_longest_description_is_read_whole_and_kept_in_part(tmp_path: Path) -> None:
    """The taxonomy bounds what every verdict reader must load."""
    classifier = TextClassifier.from_descriptions({"cat": "Cats purr. " * 4_000, "dog": PETS["dog"]})
    bundle = load_bundle(classifier.save(tmp_path / "pets"))
    assert len(bundle.taxonomy.categories[0].description) == MAX_DESCRIPTION_CHARACTERS


def test_banned_classes_are_the_default_policys_and_allow_nothing(tmp_path: Path) -> None:
    """No chat was labelled, so no share of banned chats can be promised: `review`, not `allow`."""
    folder = TextClassifier.from_descriptions(PETS, banned=["dog"]).save(tmp_path / "pets")
    bundle = load_bundle(folder)
    assert bundle.default_policy.banned == {"dog"}
    answers, _ = Classifier(bundle, bundle.default_policy, n_threads=1).classify([[Turn(Role.USER, "kitten")]])
    assert answers[0].judgement.decision is Decision.REVIEW  # type: ignore[union-attr]


def test_256_classes_are_told_apart_and_no_more_are_taken() -> None:
    """The taxonomy's limit, with the number found."""
    described = {f"shelf-{n}": f"Books about the year {1700 + n}." for n in range(256)}
    assert TextClassifier.from_descriptions(described).predict(["in 1789"]) == ["shelf-89"]
    with pytest.raises(ClassesRefused, match="found 257 classes; expected 2 to 256"):
        TextClassifier.from_descriptions({**described, "more": "Others."})
    with pytest.raises(ClassesRefused, match="found 257 classes"):
        TextClassifier.from_descriptions(described).add_examples("more", "others")


def test_a_loaded_classifier_is_not_fitted_again(pets: TextClassifier, tmp_path: Path) -> None:
    """It would forget the examples that are not in the bundle."""
    loaded = TextClassifier.load(pets.save(tmp_path / "pets"))
    assert loaded.classes == ("cat", "dog")
    with pytest.raises(ClassesRefused, match="make it anew with all of its examples"):
        loaded.add_examples("cat", "meow")
    with pytest.raises(ClassesRefused, match="copy its folder"):
        loaded.save(tmp_path / "again")


_VERBS = ("sleeps", "eats", "plays", "runs", "hides", "drinks", "jumps", "waits", "looks at me", "lies in the sun")


def _made(**changes: Any) -> TextClassifier:
    return TextClassifier.from_descriptions(**({"descriptions": PETS} | changes))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: _made(descriptions={}).fit(), "found 0 classes; expected 2 to 256"),
        (lambda: _made(descriptions={"cat": "Cats."}).predict(["x"]), "found 1 classes \\('cat'\\); expected 2"),
        (lambda: _made(descriptions={"cat": " \u200b"}), "class 'cat': its description is empty; expected a sentence"),
        (lambda: _made(descriptions={"": "Cats."}), "a class has no name"),
        (lambda: _made(descriptions={" cat": "Cats."}), "without white space around them"),
        (lambda: _made(descriptions={"c" * 129: "Cats."}), "the name has 129 characters; expected at most 128"),
        (lambda: _made(descriptions={"a": "x" * (MAX_READ_CHARACTERS + 1)}), "has 50,001 characters; expected at most"),
        (lambda: _made(descriptions={"A b": "x", "a-b": "y"}), "both get the code 'a-b', case aside"),
        (lambda: _made(descriptions={"a": "Cats.", "b": " cats. "}).fit(), "have the same description"),
        (lambda: _made(banned=["bird"]).fit(), "banned names 'bird'; the classes are 'cat', 'dog'"),
        (lambda: _made(name="my pets"), "name 'my pets' and version '1.0.0'; expected"),
        (lambda: _made(version="one"), "version 'one'; expected"),
        (lambda: _made().add_examples("", ["x"]), "a class has no name"),
        (lambda: _made().add_examples("cat", []), "class 'cat': no example given"),
        (lambda: _made().add_examples("cat", ["meow", " "]), "example 2 of class 'cat' holds no visible character"),
        (lambda: _made().predict(["x", "\n"]), "text 2 holds no visible character"),
    ],
)
def test_what_cannot_be_learnt_is_refused_with_what_to_do(act: Callable[[], object], message: str) -> None:
    """Each names what was found."""
    with pytest.raises(ClassesRefused, match=message):
        act()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: _made(descriptions=[("cat", "Cats.")]), "descriptions are a list; expected a mapping"),
        (lambda: _made(descriptions={1: "Cats."}), "a class's name is a int; expected text"),
        (lambda: _made(descriptions={"cat": None}), "the description of class 'cat' is a NoneType"),
        (lambda: _made(banned="dog"), "banned is the text 'dog'; expected a list"),
        (lambda: _made().add_examples(None, ["x"]), "a class's name is a NoneType"),  # type: ignore[arg-type]
        (lambda: _made().add_examples("cat", 5), "examples of class 'cat' are a int"),  # type: ignore[arg-type]
        (lambda: _made().add_examples("cat", [5]), "example 1 of class 'cat' is a int"),  # type: ignore[list-item]
        (lambda: _made().predict("woof"), "texts are a str; expected a list of texts"),
        (lambda: _made().predict([None]), "text 1 is a NoneType"),  # type: ignore[list-item]
    ],
)
def test_what_is_no_text_is_refused(act: Callable[[], object], message: str) -> None:
    """A lone text would else be read letter by letter."""
    with pytest.raises(TypeError, match=message):
        act()
