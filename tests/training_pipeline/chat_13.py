"""The taxonomy of most tests, as training reads it."""

from typing import Final

from model.calibration import banned_mask
from schemas import CHAT_13
from training_pipeline.bundle.scaling_fit import Groups

BANNED_COLUMNS: Final = banned_mask(CHAT_13.banned, CHAT_13.codes)
"""bool [13]."""
GROUPS: Final = Groups(CHAT_13.codes, BANNED_COLUMNS)
