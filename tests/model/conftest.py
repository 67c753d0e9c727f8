"""The shipped bundle, loaded once."""

from dataclasses import replace
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
    """Return a classifier of the shipped bundle whose transformer sees every chat; a test may break it."""
    return Classifier(replace(bundle, first_stage=None), DEFAULT_POLICY, n_threads=1)
