"""Names of what `distil` writes into its folder; `distil.distil` says what each is."""

from typing import Final

SOFT_LABELS_NAME: Final = "soft-labels.jsonl"
CHATS_NAME: Final = "student.jsonl"
STUDENT_NAME: Final = "student-encoder"
RUN_NAME: Final = "run"
RECORD_NAME: Final = "distil.json"
