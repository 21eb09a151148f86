"""Pages on the real core: one small run of the demo model, computed once, and a browserless session of the app."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from app.explore import run_preview
from app.shared import resources
from app.workers import sessions
from app.workers.answers import Answers, Asked
from app.workers.jobs import Jobs
from app.workers.questions import Question, SessionQuestion
from cache.records import RunRecord
from cache.store import Store
from core.records import Finished, RunResult
from core.spec import Calibration, Evaluation, RunSpec

SMALL = RunSpec(calibration=Calibration(windows=16, length=64), evaluation=Evaluation(windows=4, length=64))
NOBODY = "tcp://127.0.0.1:1"  # a scheduler that is not there: pages must work without one, and no test here starts workers


@pytest.fixture(scope="session")
def small_result() -> RunResult:
    """A real run: Thanos 50 % on the demo model, small windows."""
    from core import prune

    (result,) = (event.result for event in prune(SMALL) if isinstance(event, Finished))
    return result


@pytest.fixture(scope="session", autouse=True)
def _one_look_for_components() -> Iterator[None]:
    """Streamlit looks through all installed packages for components when a server starts: over a second, once, not for every session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="module", autouse=True)
def _rough_optima() -> Iterator[None]:
    """Optima of previews to some percent: pages show them, and their own tests say what they are. Half the time of a preview.

    Of a module, as other tests of the same process follow the pages'.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.layer.optimum._GAIN", 0.05)
        yield


@pytest.fixture
def without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", NOBODY)
    monkeypatch.setattr(run_preview, "_WAIT", 0.0)  # nobody will answer: no page run need wait a second and a half for it


@pytest.fixture
def store(prunescope_home: Path, without_workers: None) -> Iterator[Store]:
    opened = Store(prunescope_home)
    yield opened
    opened.close()


@pytest.fixture
def no_gallery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty gallery: what is shipped must not hide what a test is about."""
    monkeypatch.setattr(resources, "GALLERY", tmp_path)
    return tmp_path


@pytest.fixture
def keep(store: Store) -> Callable[..., str]:
    """keep(result) or keep(spec=..., state=..., error=...): puts a run into the store, as the worker does; returns its key."""
    jobs = Jobs(store)

    def put(result: RunResult | None = None, *, spec: RunSpec | None = None, ago: float = 60.0, **fields: Any) -> str:
        chosen = spec or (result.spec if result else SMALL)
        key, then = jobs.key(chosen), time.time() - ago
        record = RunRecord(key=key, spec=chosen, state="queued", submitted=then)
        if result is not None:
            store.put_result(key, result.model_copy(update={"spec": chosen}))
            record = record.finished(result)
        store.put_record(RunRecord.model_validate({**dict(record), **fields}))
        return key

    return put


@pytest.fixture(scope="module")
def _answers_of_the_demo() -> dict[Question, object]:
    """What a file's tests were answered about the demo and the embedded text: the same for each of them, and computed once."""
    return {}


@pytest.fixture
def answers_here(monkeypatch: pytest.MonkeyPatch, without_workers: None, _answers_of_the_demo: dict[Question, object]) -> list[Question]:
    """Questions are answered by the real session, in this process instead of a worker's; returns what was asked."""
    asked: list[Question] = []
    known: dict[Question, object] = {}

    def answer_to(question: Question) -> object:
        spec = question.spec if isinstance(question, SessionQuestion) else None
        if spec is None or (spec.model, spec.calibration.source, spec.evaluation.source) != ("demo", "embedded", "embedded"):
            return sessions.answer(question)
        if question not in _answers_of_the_demo:
            answer = sessions.answer(question)
            if isinstance(answer, sessions.Failure):
                return answer
            _answers_of_the_demo[question] = answer
        return _answers_of_the_demo[question]

    def ask(_: Answers, question: Question, *, place: str, wait: float = 0.0) -> Asked:
        if question not in known:
            asked.append(question)
            known[question] = answer_to(question)
        answer = known[question]
        return (Asked(state="failed", error=answer.words) if isinstance(answer, sessions.Failure) else Asked(state="ready", answer=answer))

    monkeypatch.setattr(Answers, "ask", ask)
    return asked


@pytest.fixture
def visit(root: Path, prunescope_home: Path, without_workers: None) -> Iterator[Callable[..., AppTest]]:
    """visit("runs") or visit(words={...}): opens the app at this page and link, as a browser would."""

    def open_app(page: str = "explore", *, words: Mapping[str, str] | None = None, twice: bool = True) -> AppTest:
        session = AppTest.from_file(str(root / "app" / "main.py"), default_timeout=240)
        if page != "explore":
            session.switch_page(f"../pages/{page}.py")
        for word, text in (words or {}).items():
            session.query_params[word] = text
        session.run()
        if twice:
            session.run()  # what the browser does by itself: charts wait for it
        assert not session.exception
        return session

    yield open_app
    resources.close()


def said(session: AppTest) -> str:
    """All text of the page's main column, markup included, entities resolved, spaces that do not break as any other."""
    return unescape("\n".join(item.proto.body for item in session.main if item.type == "html")).replace("\u00a0", " ")


def link(session: AppTest) -> dict[str, str]:
    """What the address bar says."""
    return {word: values[0] if isinstance(values, list) else values for word, values in session.query_params.items()}


def charts(session: AppTest) -> list[str]:
    """The specifications of the charts on the page."""
    return [item.proto.spec for item in session.get("plotly_chart")]
