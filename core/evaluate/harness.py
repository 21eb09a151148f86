"""lm-eval around a model in memory: quiet, watched, and with words for what its assertions would say."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false, reportMissingTypeStubs=false
# pyright: reportIncompatibleMethodOverride=false, reportUntypedBaseClass=false

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
from collections.abc import Callable, Generator
from typing import Any

import lm_eval.api.task
import lm_eval.evaluator
import torch
from lm_eval.models import huggingface
from tqdm import tqdm

from core.linalg.cancellation import check_cancelled
from core.spec.errors import BadInput

Report = Callable[[float], None]  # the share of a task that is done
_LOGITS, _LOGITS_ON_GPU = 2**26, 2**30  # entries of one forward's logits
_MOST_ROWS, _USUAL_PROMPT = 32, 256
_LOUD = ("lm_eval", "transformers", "datasets", "huggingface_hub")  # they warn of what is counted or told in words here


_Harness: Any = huggingface.HFLM


class WatchedModel(_Harness):
    """lm-eval's Hugging Face model around one in memory. Reports its progress, counts truncated prompts, can be canceled."""

    def __init__(self, model: Any, tokenizer: Any, context: int) -> None:
        rows = (_LOGITS_ON_GPU if model.device.type == "cuda" else _LOGITS) // (min(context, _USUAL_PROMPT) * model.config.vocab_size)
        super().__init__(pretrained=model, backend="causal", tokenizer=tokenizer, max_length=context,
                         batch_size=max(1, min(_MOST_ROWS, rows)))
        self.report: Report = lambda share: None
        self.truncated = 0
        self._expected, self._done = 1, 0

    @property
    def prefix_token_id(self) -> int:
        """Token put before an empty context. Raises BadInput for a tokenizer that has neither a begin nor an end token."""
        token = super().prefix_token_id
        if token is None:
            raise BadInput("tasks", type(self.tokenizer).__name__, "a tokenizer with a begin or an end token (bos_token, eos_token)",
                           "This task scores text without a context, which such a token has to begin. Choose another task, or name the "
                           "token in the model's tokenizer_config.json.")
        return token

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        return super().loglikelihood(requests, disable_tqdm=True)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> Any:
        return super().loglikelihood_rolling(requests, disable_tqdm=True)

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        self._expected, self._done = len(requests), 0
        if self.eot_token_id is None:
            raise BadInput("tasks", type(self.tokenizer).__name__, "a tokenizer with an end token (eos_token)",
                           "This task lets the model write until it ends. Name the token in the model's tokenizer_config.json.")
        return super().generate_until(requests, disable_tqdm=True)

    def _loglikelihood_tokens(self, requests: Any, disable_tqdm: bool = True, override_bs: int | None = None) -> Any:
        self._expected, self._done = max(1, len(requests)), 0
        for (_, answer), _, tokens in ((names or (None, ""), context, tokens) for names, context, tokens in requests):
            if len(tokens) > self.max_length:
                raise BadInput("tasks", str(answer)[:60], f"answers of at most {self.max_length} tokens", "The model's context is shorter.")
        cut = {tuple(context) for _, context, tokens in requests if len(context) + len(tokens) > self.max_length + 1}
        self.truncated += len(cut)  # a prompt once, however many answers follow it
        return super()._loglikelihood_tokens(requests, disable_tqdm=True, override_bs=override_bs)

    def _model_call(self, inps: torch.Tensor, *arguments: Any, **keywords: Any) -> torch.Tensor:
        self._step(len(inps))
        return super()._model_call(inps, *arguments, **keywords)

    def _model_generate(self, context: torch.Tensor, *arguments: Any, **keywords: Any) -> Any:
        self._step(len(context))
        return super()._model_generate(context, *arguments, **keywords)

    def _step(self, rows: int) -> None:
        """Raises Cancelled where nobody waits any more."""
        check_cancelled()
        self.report(min(1.0, self._done / self._expected))
        self._done += rows


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """No bars, no notes on standard output or error, no processes of lm-eval's own, no report on this machine's packages."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    levels, serial = [logger.level for logger in loggers], os.environ.get("DISABLE_MULTIPROC")
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    os.environ["DISABLE_MULTIPROC"] = "1"  # its bootstrap would start a process a core
    try:
        with (_replaced(lm_eval.api.task, "tqdm", functools.partial(tqdm, disable=True)), _dataset_bars_off(),
              _replaced(lm_eval.evaluator, "add_env_info", _nothing), _replaced(lm_eval.evaluator, "get_git_commit_hash", _nothing),
              contextlib.redirect_stdout(io.StringIO())):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if serial is None:
            os.environ.pop("DISABLE_MULTIPROC", None)


def _nothing(*results: object) -> None:
    """In place of a report on every package of this machine, which takes seconds, and of git's word on the folder it runs in."""


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: object) -> Generator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextlib.contextmanager
def _dataset_bars_off() -> Generator[None]:
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
