"""A stage of a recipe runs again where any code that decides its outcome has changed."""

import pytest

from training_pipeline.recipe.code import code_digest, with_imports
from training_pipeline.recipe.stages import STAGES, code_of


@pytest.mark.parametrize(
    ("root", "decides"),
    [
        ("train.train", "train.loss"),
        ("train.train", "train.state"),
        ("train.train", "chats.soft_targets"),
        ("train.train", "augment.mixtures"),
        ("train.train", "bundle.scaling_fit"),
        ("distil.distil", "distil.vocabulary"),
        ("bundle.export", "cascade.early_exit_graph"),
        ("data.label", "data.label_prompt"),
    ],
)
def test_what_a_stage_imports_belongs_to_its_code(root: str, decides: str) -> None:
    """A list kept by hand lacked these, and a changed loss trained nothing anew."""
    found = with_imports([f"training_pipeline.{root}"])
    assert f"training_pipeline.{decides}" in found
    assert "model.windowing" in found or root == "data.label"


def test_what_a_stage_does_not_import_costs_no_training() -> None:
    """A new column in a report must not train for hours."""
    assert not [
        name for name in with_imports(["training_pipeline.train.train"]) if ".report" in name or ".data." in name
    ]


def test_the_digest_tells_one_set_of_modules_from_another() -> None:
    """The same modules give the same digest, in any run."""
    modules = with_imports(["training_pipeline.train.train"])
    assert code_digest(modules) == code_digest(modules) != code_digest(modules[1:])


@pytest.mark.parametrize(("module", "said"), [("gone", "no such module"), ("train", "a folder")])
def test_a_stage_that_begins_nowhere_is_refused(module: str, said: str) -> None:
    """A module that was renamed or moved must not silently drop out of the digest."""
    with pytest.raises(ValueError, match=rf"training_pipeline\.{module}: {said}"):
        with_imports([f"training_pipeline.{module}"])


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_begins_somewhere(stage: str) -> None:
    """After every move of a file."""
    assert len(code_of(stage)) > 1
