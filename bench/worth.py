"""Cost of scores and texts on the demo model: `python -m bench.worth` (a minute or two). Prints only.

    zero-shot     ZeroShot.score against lm-eval's HFLM alone on the same requests, in turn; peak memory of both models' scores
    text          seconds to the first token of the dense and two pruned models, and of each further one
"""
# pyright: reportPrivateUsage=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from transformers import AutoTokenizer

from core.evaluate.harness import quiet
from core.evaluate.tasks import open_tasks
from core.evaluate.zero_shot import ZeroShot
from core.models.open_model import open_model
from core.models.sources import resolve_model
from core.spec import Calibration, Evaluation, RunSpec, make_method
from core.whatif.continuations import Continuations, Sampling, previewed_weights
from core.whatif.session import Session

ROUNDS, TOKENS = 5, 20
_HARNESS: Any = HFLM


def main() -> None:
    before = _peak()
    _zero_shot(before)
    _text()


def _zero_shot(before: float) -> None:
    spec, (task,) = RunSpec(), open_tasks(["embedded_words"])
    ours = ZeroShot(spec)
    tokenizer = AutoTokenizer.from_pretrained(str(resolve_model(spec.model).path))
    with quiet(), torch.inference_mode():
        bare = _HARNESS(pretrained=ours.model, tokenizer=tokenizer, batch_size=ours._watched.batch_size,
                         max_length=ours._watched.max_length)
        ours.score(task)
        requests = list(task.task.instances)
        pairs = [(_seconds(lambda: bare.loglikelihood(requests, disable_tqdm=True)), _seconds(lambda: ours.score(task)))
                 for _ in range(ROUNDS)]
    ratios = [mine / alone for alone, mine in pairs]
    _say(f"zero-shot, {len(requests)} requests: HFLM alone {statistics.median(alone for alone, _ in pairs):.2f} s, scored "
         f"{statistics.median(mine for _, mine in pairs):.2f} s, ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
         f"{max(ratios):.2f}); memory grew by {_peak() - before:.0f} MB from the imports on")


def _text() -> None:
    spec = RunSpec(calibration=Calibration(windows=8, length=128), evaluation=Evaluation(windows=1))
    session = Session(open_model(spec, torch.device("cpu")))
    pruned = [previewed_weights(session, spec.model_copy(update={"method": make_method(name)})) for name in ("magnitude", "wanda")]
    first: list[float] = []
    each: list[float] = []
    for seed in range(ROUNDS):
        texts = Continuations(session.opened, session.linears, "Return a new list", pruned, Sampling(temperature=1.0, seed=seed))
        first.append(_seconds(texts.step))
        each += [_seconds(texts.step) for _ in range(TOKENS) if not texts.over]
    _say(f"text, dense and two pruned models: first token of all {statistics.median(first):.2f} s ({max(first):.2f} at most), each further "
         f"{1000 * statistics.median(each):.0f} ms")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak() -> float:
    """Highest memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
