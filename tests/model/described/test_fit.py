"""The fit of the head, on made-up vectors: what it leaves to the descriptions, and what examples change."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.described.fit import Examples, all_prototypes, fit_head, prototype
from model.described.frozen_encoder import unit_rows

N_DIMENSIONS = 48
N_CLASSES = 5


@pytest.fixture
def rng() -> np.random.Generator:
    """Return numbers that are the same in every run."""
    return np.random.default_rng(7)


class World:
    """Classes with prototypes, and texts that lie around them, shifted together to another place."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.true = rng.normal(size=(N_CLASSES, N_DIMENSIONS))
        self.shift = 3 * rng.normal(size=N_DIMENSIONS)
        self.prototypes = unit_rows((self.true + rng.normal(size=self.true.shape)).astype(np.float32))

    def texts(self, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return one text of each class named."""
        noise = 0.8 * self.rng.normal(size=(len(classes), N_DIMENSIONS))
        return unit_rows((self.true[classes] + noise + self.shift).astype(np.float32))

    def examples(self, classes: NDArray[np.int64]) -> Examples:
        """Return examples of these classes, with the usual shift that their descriptions show."""
        texts = self.texts(np.repeat(np.arange(N_CLASSES), 40))
        usual = texts.mean(axis=0) - self.prototypes.mean(axis=0)
        return Examples(self.texts(classes), classes, usual.astype(np.float32))


NONE = np.zeros(0, dtype=np.int64)


def _accuracy(world: World, head_classes: NDArray[np.int64]) -> float:
    head = fit_head(world.prototypes, world.examples(head_classes))
    truth = np.repeat(np.arange(N_CLASSES), 200)
    return float((head.logits(world.texts(truth)).argmax(axis=1) == truth).mean())


def test_without_examples_the_nearest_prototype_by_cosine_is_named(rng: np.random.Generator) -> None:
    """Never worse than cosine similarity: it is cosine similarity."""
    world = World(rng)
    texts = unit_rows(rng.normal(size=(500, N_DIMENSIONS)).astype(np.float32))
    found = fit_head(world.prototypes, world.examples(NONE)).logits(texts)
    np.testing.assert_array_equal(found.argmax(axis=1), (texts @ world.prototypes.T).argmax(axis=1))


def test_ten_examples_a_class_are_better_than_descriptions(rng: np.random.Generator) -> None:
    """What the examples are for."""
    world = World(rng)
    assert _accuracy(world, np.repeat(np.arange(N_CLASSES), 10)) > _accuracy(world, NONE) + 0.05


def test_a_class_that_alone_has_examples_does_not_take_the_others_texts(rng: np.random.Generator) -> None:
    """All texts are more like its examples than like any description; that says nothing of the class."""
    world = World(rng)
    assert _accuracy(world, np.zeros(50, dtype=np.int64)) > _accuracy(world, NONE) - 0.03


def test_a_hundred_examples_of_one_class_do_not_drown_three_of_each_other(rng: np.random.Generator) -> None:
    """Classes weigh the same."""
    world = World(rng)
    counts = [100, 3, 3, 3, 3]
    assert _accuracy(world, np.repeat(np.arange(N_CLASSES), counts)) > _accuracy(world, NONE)


def test_a_rows_logits_do_not_depend_on_its_neighbours(rng: np.random.Generator) -> None:
    """The cache keeps what one batch gave, and a replay meets another batch."""
    world = World(rng)
    head = fit_head(world.prototypes, world.examples(np.arange(N_CLASSES)))
    texts = world.texts(np.repeat(np.arange(N_CLASSES), 7))
    alone = np.concatenate([head.logits(texts[i : i + 1]) for i in range(len(texts))])
    np.testing.assert_array_equal(head.logits(texts), alone)
    np.testing.assert_array_equal(unit_rows(texts), np.concatenate([unit_rows(texts[i : i + 1]) for i in range(35)]))


def test_more_examples_than_dimensions_give_what_fewer_equations_give(rng: np.random.Generator) -> None:
    """The two ways to solve the ridge meet: one example more changes little."""
    world = World(rng)
    classes = np.arange(60) % N_CLASSES
    examples = world.examples(classes)
    n_below = N_DIMENSIONS - N_CLASSES - 1
    heads = [
        fit_head(world.prototypes, Examples(examples.vectors[:n], classes[:n], examples.usual_shift))
        for n in (n_below, n_below + 1)
    ]
    difference = np.abs(heads[0].weights - heads[1].weights).max()
    assert 0 < difference < 0.2 * np.abs(heads[0].weights).max()


def test_a_class_without_a_description_gets_a_prototype_where_descriptions_lie(rng: np.random.Generator) -> None:
    """Its examples alone lie elsewhere; the others say how far."""
    world = World(rng)
    examples = world.examples(np.repeat(np.arange(N_CLASSES), 20))
    described = {i: world.prototypes[i] for i in range(1, N_CLASSES)}
    made = all_prototypes(described, N_CLASSES, examples)
    bare = prototype(examples.vectors[:20])
    assert made[0] @ world.prototypes[0] > bare @ world.prototypes[0]
    np.testing.assert_array_equal(made[1:], world.prototypes[1:])


def test_examples_alone_make_all_prototypes(rng: np.random.Generator) -> None:
    """No class is described: nearest mean, and the ridge on top."""
    world = World(rng)
    examples = world.examples(np.repeat(np.arange(N_CLASSES), 5))
    prototypes = all_prototypes({}, N_CLASSES, examples)
    head = fit_head(prototypes, examples)
    assert (head.logits(examples.vectors).argmax(axis=1) == examples.classes).all()
