"""Log lines of server, scheduler and workers; with PRUNESCOPE_LOG=json each is one JSON object with the key of its run. No torch.

    {"time": "2026-11-30T12:00:00.123Z", "level": "INFO", "logger": "distributed.prunescope", "process": 4711, "message": "finished",
     "run": "9f86d081…", "error": "Traceback …"}            `run` and `error` where there are any
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

SWITCH = "PRUNESCOPE_LOG"
_run: ContextVar[str] = ContextVar("run", default="")


@contextmanager
def about(run: str) -> Generator[None]:
    """Mark the lines of this thread as being about the run of this key."""
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)


class JsonLines(logging.Formatter):
    """One JSON object a line; line breaks in messages are escaped, so that a message cannot make up a line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {"time": f"{moment}.{int(record.msecs):03d}Z", "level": record.levelname, "logger": record.name,
                                   "process": record.process, "message": record.getMessage()}
        if run := getattr(record, "run", "") or _run.get():
            line["run"] = run
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure() -> None:
    """Give every handler of this process JSON lines, where the environment asks for them. Call it when the handlers are made."""
    if os.environ.get(SWITCH, "").lower() != "json":
        return
    if not logging.getLogger().handlers:
        logging.basicConfig()
    loggers = [logging.getLogger(), *(item for item in logging.Logger.manager.loggerDict.values() if isinstance(item, logging.Logger))]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        handler.setFormatter(JsonLines())
