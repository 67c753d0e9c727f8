"""Objects in the forms of other programs: told apart, so that an error can say what to do.

Invariant: a remedy quotes nothing of the record.
"""

from collections.abc import Mapping

_EXTRACT = "`python -m training_pipeline extract` reads this form from files"
_FORMAT = "MODERATION_KAFKA__VALUE_FORMAT"


def is_sharegpt(document: Mapping[str, object]) -> bool:
    """Say whether the turns of a document are in ShareGPT's form: `from` and `value`, mostly under `conversations`."""
    turns = document.get("conversations", document.get("messages"))
    first = turns[0] if isinstance(turns, list) and turns else None
    return isinstance(first, dict) and {"from", "value"} <= first.keys()


def is_chat_completion_request(document: Mapping[str, object]) -> bool:
    """Say whether a document is the body of a chat-completions request: a model and messages, and no chat."""
    return "chat_id" not in document and "model" in document and "messages" in document


def is_change(document: Mapping[str, object]) -> bool:
    """Say whether a document is a change of a row as Debezium writes it, with or without the schema around it."""
    change = document.get("payload", document)
    return isinstance(change, dict) and "op" in change and bool({"before", "after"} & change.keys())


def remedy(document: Mapping[str, object]) -> str:
    """Return what to do with a record in a form that is not read here, as the end of an error; empty for others."""
    if is_sharegpt(document):
        return f"; this is ShareGPT's form: send role and content in place of from and value; {_EXTRACT}"
    if is_chat_completion_request(document):
        return f"; this is a chat-completions request: add the chat_id of the conversation to it; {_EXTRACT}"
    return "" if "chat_id" in document else _remedy_for_envelope(document)


def _remedy_for_envelope(document: Mapping[str, object]) -> str:
    if is_change(document):
        return f"; this is Debezium's envelope: set {_FORMAT}=debezium"
    if "specversion" in document:
        return f"; this is a CloudEvent: set {_FORMAT}=cloudevents"
    if {"schema", "payload"} <= document.keys():
        return (
            "; this is Kafka Connect's envelope: set value.converter.schemas.enable=false at the connector, or "
            f"{_FORMAT}=debezium here"
        )
    return ""
