"""The shipped bundle, read once."""

import pytest

from model import DEFAULT_BUNDLE_PATH, Bundle, DecisionRule, load_bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """Return the shipped bundle."""
    return load_bundle(DEFAULT_BUNDLE_PATH)


@pytest.fixture(scope="session")
def rule(bundle: Bundle) -> DecisionRule:
    """Return its default policy with its curves."""
    return DecisionRule(bundle.default_policy, bundle.risk_curves(bundle.default_policy))
