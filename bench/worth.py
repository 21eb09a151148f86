"""Cost of scores and texts on the demo model: `python -m bench.worth` (about two minutes of one core). Prints only.

    zero-shot     processor seconds of ZeroShot.score and of lm-eval's HFLM alone on the same requests, in turn
    memory        highest memory of dense and pruned scores, and of HFLM alone with the dense model, each in a process of its own;
                  a wide model of random weights, so that a model counts for more than what Python allocates anyway
    text          seconds to the first token of the dense and two pruned models, and of each further one
"""
# pyright: reportPrivateUsage=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from core.evaluate.harness import quiet
from core.evaluate.tasks import OpenTask, open_tasks
from core.evaluate.zero_shot import ZeroShot, score_tasks
from core.models.blocks import map_blocks
from core.models.open_model import open_model
from core.models.sources import resolve_model
from core.spec import Calibration, Evaluation, RunSpec, make_method
from core.whatif.continuations import Continuations, Sampling, previewed_weights
from core.whatif.session import Session

ROUNDS, TOKENS = 5, 20
WIDE = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 6, "num_attention_heads": 16, "tie_word_embeddings": True}
FEW = 8  # examples of the memory's measurement
_HARNESS: Any = HFLM


def main(words: list[str]) -> None:
    if words:
        _say(f"{_peak_of(words[0])}")
        return
    _zero_shot()
    _memory()
    _text()


def _zero_shot() -> None:
    (task,) = open_tasks(["embedded_words"])
    ours = ZeroShot(RunSpec())
    with quiet(), torch.inference_mode():
        bare = _bare(ours)
        ours.score(task)
        requests = list(task.task.instances)
        pairs = [(_seconds(lambda: bare.loglikelihood(requests, disable_tqdm=True), time.process_time),
                  _seconds(lambda: ours.score(task), time.process_time)) for _ in range(ROUNDS)]
    ratios = [mine / alone for alone, mine in pairs]
    _say(f"zero-shot, {len(requests)} requests, processor: HFLM alone {statistics.median(alone for alone, _ in pairs):.2f} s, scored "
         f"{statistics.median(mine for _, mine in pairs):.2f} s, ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
         f"{max(ratios):.2f})")


def _bare(ours: ZeroShot) -> Any:
    """lm-eval's own model around the same one, with the same batches."""
    tokenizer = AutoTokenizer.from_pretrained(str(resolve_model("demo").path))
    return _HARNESS(pretrained=ours.model, tokenizer=tokenizer, batch_size=ours._watched.batch_size, max_length=ours._watched.max_length)


def _memory() -> None:
    with tempfile.TemporaryDirectory() as folder:
        size = _write_wide(Path(folder) / "wide")
        alone, both = (_peak_in_own_process(which, folder) for which in ("alone", "both"))
    _say(f"memory, a model of {size:.0f} MB: HFLM alone with the dense model {alone:.0f} MB, dense and pruned scores {both:.0f} MB: "
         f"{(both - alone) / size:.2f} models more")


def _write_wide(folder: Path) -> float:
    """Write a model of random weights with the demo's tokenizer; its size, MB."""
    tokenizer = AutoTokenizer.from_pretrained(str(resolve_model("demo").path))
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **WIDE))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(weight.nbytes for weight in model.parameters()) / 2**20


def _peak_in_own_process(which: str, models: str) -> float:
    environment = {**os.environ, "PRUNESCOPE_MODELS": models}
    done = subprocess.run([sys.executable, "-m", "bench.worth", which], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _peak_of(which: str) -> float:
    """Highest memory of this process after scores of the wide model, MB."""
    spec, (task,) = RunSpec(model="wide"), open_tasks(["embedded_words"], limit=FEW)
    if which == "alone":
        _score_alone(spec, task)
    else:
        score_tasks(spec, (task,), _half_of(spec))
    (found,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found) / 1024


def _score_alone(spec: RunSpec, task: OpenTask) -> None:
    ours = ZeroShot(spec)
    with quiet(), torch.inference_mode():
        task.task.build_all_requests(limit=task.limit)
        _bare(ours).loglikelihood(list(task.task.instances), disable_tqdm=True)


def _half_of(spec: RunSpec) -> dict[str, torch.Tensor]:
    """Every layer's weights [out, in] with each second row at zero, as a run would hand them over."""
    found: dict[str, torch.Tensor] = {}
    for linears in map_blocks(ZeroShot(spec).model).linears:
        for linear in linears:
            found[linear.name] = linear.weight.detach().clone()
            found[linear.name][::2] = 0
    return found


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


def _seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
