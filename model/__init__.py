"""Text in, category and calibrated risk out: the classifier that serving and training share."""

from model.bundle.bundle import DEFAULT_BUNDLE_PATH, Bundle, load_bundle
from model.bundle.policy_file import PolicyError, load_policy, policy_over
from model.classifier import Classifier, ClassifyStats
from model.decision import DecisionRule
from model.described.text_classifier import TextClassifier
from model.errors import BundleError, ClassesRefused, InferenceStalled, RowFailed
from model.evidence.judging import Classification
from model.guardrail import CheckedText, Guardrail
from model.inference.cpu_quota import available_cpus
from model.inference.timed_session import DEFAULT_TIMEOUT_S, LONGEST_STALL

__all__ = [
    "DEFAULT_BUNDLE_PATH",
    "DEFAULT_TIMEOUT_S",
    "LONGEST_STALL",
    "Bundle",
    "BundleError",
    "CheckedText",
    "ClassesRefused",
    "Classification",
    "Classifier",
    "ClassifyStats",
    "DecisionRule",
    "Guardrail",
    "InferenceStalled",
    "PolicyError",
    "RowFailed",
    "TextClassifier",
    "available_cpus",
    "load_bundle",
    "load_policy",
    "policy_over",
]
