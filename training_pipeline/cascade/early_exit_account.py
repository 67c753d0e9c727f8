"""What the exits inside an encoder cost and save: who leaves where, and the figures with and without them.

Both sides go through the serving classes; "without" is the same bundle with the model that has no exits, under the same
scaling. Shares are of the chats that the first stage leaves to the transformer.
"""

from dataclasses import replace
from typing import Any

from model.classifier import Classifier
from model.tokenization import ConversationTokenizer
from training_pipeline.cascade.early_exit_fit import EarlyExits, LayerMeans, exit_shares
from training_pipeline.cascade.first_stage_account import compared
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.quality.evaluate import predict


def early_exit_account(
    classifier: Classifier, plain: bytes, exits: EarlyExits, chats: LabelledChats, *, n_threads: int
) -> dict[str, Any]:
    """Return the account, ready for JSON; rates are 0..1.

    Args:
        classifier: Of the bundle with exits.
        plain: Contents of its model.onnx without them.
        exits: Those exits.
        chats: Labelled chats that fitted nothing.
        n_threads: Inference threads.
    """
    bundle = classifier.bundle
    tokenizer = ConversationTokenizer(bundle.tokenizer_json, max_tokens=bundle.manifest.windowing.max_tokens)
    layers = [head.after_layer for head in exits.heads]
    look = LayerMeans(plain, layers, pad_id=tokenizer.pad_id, n_threads=n_threads)
    reached = chats.take((~classifier.answered_first(chats.conversations)).nonzero()[0])
    rows = reached.encode(tokenizer)
    shares = exit_shares(exits.left_after(look(rows)[0])) if rows else {}
    without = Classifier(replace(bundle, model=plain), classifier.policy, n_threads=n_threads)
    banned = classifier.banned_columns
    return {
        "n_chats_reached": len(reached.labels),
        "exit_ratio_after_layer": shares,
        "with": compared(predict(classifier, chats), banned),
        "without": compared(predict(without, chats), banned),
    }
