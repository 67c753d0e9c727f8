"""Text in, category and calibrated risk out: the classifier that serving and training share."""

from model.bundle import DEFAULT_BUNDLE_PATH, Bundle, load_bundle
from model.classifier import Classifier, ClassifyStats
from model.cpu_quota import available_cpus
from model.errors import BundleError, RowFailed
from model.judging import Classification
from model.policy_file import PolicyError, load_policy

__all__ = [
    "DEFAULT_BUNDLE_PATH",
    "Bundle",
    "BundleError",
    "Classification",
    "Classifier",
    "ClassifyStats",
    "PolicyError",
    "RowFailed",
    "available_cpus",
    "load_bundle",
    "load_policy",
]
