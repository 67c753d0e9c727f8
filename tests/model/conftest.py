"""The shipped bundle, loaded once."""

from pathlib import Path

import pytest

from model import Bundle, Classifier, load_bundle
from schemas import DEFAULT_POLICY


@pytest.fixture(scope="session")
def bundle(bundle_path: Path) -> Bundle:
    """Return the shipped bundle, verified."""
    return load_bundle(bundle_path)


@pytest.fixture
def classifier(bundle: Bundle) -> Classifier:
    """Return a classifier of the shipped bundle; a test may break it."""
    return Classifier(bundle, DEFAULT_POLICY, n_threads=1)
