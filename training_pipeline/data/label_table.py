"""Labels that people or models gave outside this pipeline: a CSV table, one chat a row, no chat text.

Columns: chat_id, category (a code of the taxonomy), confidence (3 clear, 2 fairly sure, 1 torn), runner_up (a code
or -).
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from schemas.taxonomy import CHAT_13, Taxonomy
from training_pipeline.data.errors import DataError
from training_pipeline.data.label_answer import Label
from training_pipeline.data.label_prompt import NO_RUNNER_UP

COLUMNS: Final = ["chat_id", "category", "confidence", "runner_up"]


def read_label_table(path: Path, taxonomy: Taxonomy = CHAT_13) -> Iterator[tuple[str, Label]]:
    """Yield chat_id and label of each row.

    Raises:
        DataError: the file is not such a table; names the line.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        if rows.fieldnames != COLUMNS:
            raise DataError(f"{path}: columns are {rows.fieldnames}; expected {','.join(COLUMNS)} in this order")
        for row in rows:
            if (
                row["category"] not in taxonomy.codes
                or row["confidence"] not in {"1", "2", "3"}
                or row["runner_up"] not in (*taxonomy.codes, NO_RUNNER_UP)
            ):
                raise DataError(
                    f"{path}:{rows.line_num}: not a label; expected a code of {', '.join(taxonomy.codes)}, confidence "
                    f"1 to 3 and a code or {NO_RUNNER_UP} as runner-up; correct the line"
                )
            yield row["chat_id"], Label(row["category"], int(row["confidence"]), row["runner_up"])
