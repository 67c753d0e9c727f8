"""A stage of a recipe runs again where any code that decides its outcome has changed."""

import pytest

from training_pipeline.recipe.code import code_digest, with_imports


@pytest.mark.parametrize(
    ("root", "decides"),
    [
        ("train", "loss"),
        ("train", "training_state"),
        ("train", "soft_targets"),
        ("train", "augment.mixtures"),
        ("train", "scaling_fit"),
        ("distil.distil", "distil.vocabulary"),
        ("export", "early_exit_graph"),
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


def test_a_stage_that_begins_nowhere_is_refused() -> None:
    """A module that was renamed must not silently drop out of the digest."""
    with pytest.raises(ValueError, match=r"training_pipeline\.gone: no such module"):
        with_imports(["training_pipeline.gone"])
