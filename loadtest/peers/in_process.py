"""The same classifier without a service around it: chat events from a file, classified in this process, timed.

    python -m loadtest.peers.in_process --events FILE --bundle BUNDLE --n-threads N

Events are decoded before the clock starts; what is timed is windowing, tokenising, the first stage, batching and
inference, in calls of as many chats as the worker takes at once. Prints one JSON line.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from loadtest.peers.task import BATCH_RECORDS
from model import Classification, Classifier, ClassifyStats, load_bundle
from schemas import CodecLimits, Turn, decode_conversation


def measure(classifier: Classifier, conversations: list[list[Turn]]) -> dict[str, Any]:
    """Classify conversations once, after a warm-up, and return time, tokens and the category of each.

    Raises:
        ValueError: the model failed on one of them.
    """
    classifier.warm_up()
    categories, costs = [], list[ClassifyStats]()
    started, cpu_started = time.perf_counter(), time.process_time()
    for start in range(0, len(conversations), BATCH_RECORDS):
        answers, cost = classifier.classify(conversations[start : start + BATCH_RECORDS])
        costs.append(cost)
        for answer in answers:
            if not isinstance(answer, Classification):
                raise ValueError(f"the model failed ({answer.error}); expected a category of every chat")  # noqa: TRY004
            categories.append(answer.category)
    return {
        "elapsed_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu_started,
        "n_texts": len(conversations),
        "n_first_stage": sum(cost.n_first_stage for cost in costs),
        "n_tokens": sum(cost.n_tokens for cost in costs),
        "n_padded_tokens": sum(cost.n_padded_tokens for cost in costs),
        "categories": categories,
    }


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", required=True, type=Path)
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--n-threads", required=True, type=int)
    arguments = parser.parse_args()
    limits = CodecLimits()
    lines = arguments.events.read_bytes().splitlines()
    conversations = [decode_conversation(line, limits)[1] for line in lines]
    bundle = load_bundle(arguments.bundle)
    classifier = Classifier(bundle, bundle.default_policy, n_threads=arguments.n_threads)
    sys.stdout.buffer.write(orjson.dumps(measure(classifier, conversations)) + b"\n")


if __name__ == "__main__":
    main()
