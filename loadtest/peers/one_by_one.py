"""The bare classifier, one chat a call, in this process: what a lone client of any server waits for at least.

    python -m loadtest.peers.one_by_one --events FILE --bundle BUNDLE --n-threads N

Prints one JSON line: the time of each call, in seconds.
"""

import argparse
import sys
import time
from pathlib import Path

import orjson

from model import Classifier, load_bundle
from schemas import CodecLimits, decode_conversation


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", required=True, type=Path)
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--n-threads", required=True, type=int)
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    classifier = Classifier(bundle, bundle.default_policy, n_threads=arguments.n_threads)
    classifier.warm_up()
    calls_s = []
    for line in arguments.events.read_bytes().splitlines():
        turns = decode_conversation(line, CodecLimits())[1]
        started = time.perf_counter()
        classifier.classify([turns])
        calls_s.append(time.perf_counter() - started)
    sys.stdout.buffer.write(orjson.dumps(calls_s) + b"\n")


if __name__ == "__main__":
    main()
