"""Task folders for tests: YAML over local rows."""

import json
from pathlib import Path

METRICS = "metric_list:\n" + "".join(f"  - {{metric: {name}, aggregation: mean, higher_is_better: true}}\n" for name in ("acc", "acc_norm"))
CHOICE = ("output_type: multiple_choice\ntest_split: test\ndoc_to_text: query\ndoc_to_target: gold\ndoc_to_choice: choices\n" + METRICS
          + "metadata: {version: 1.0}\n")
ROWS = [{"query": "Once upon a time there was a", "choices": ["girl", "tax return"], "gold": 0},
        {"query": "The dog ran", "choices": ["quantum of", "to the park"], "gold": 1},
        {"query": "Lily was very", "choices": ["happy", "parliamentary", "ergo"], "gold": 0}]


def write_task(folder: Path, name: str, rows: list[dict[str, object]] | Path, body: str = CHOICE) -> Path:
    """A YAML beside its rows, which it names by a relative path; `rows` may be a file that is there already."""
    folder.mkdir(exist_ok=True)
    data = rows if isinstance(rows, Path) else folder / f"{name}.jsonl"
    if isinstance(rows, list):
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = folder / f"{name}.yaml"
    file.write_text(f"task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n"
                    f"    test: {data if isinstance(rows, Path) else data.name}\n{body}")
    return file
