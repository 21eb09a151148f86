"""Request of the Curves page as words of its link. The words are those of `python -m core sweep`.

The word `tab` chooses a view, and the view's lists are words too; those of a run but method, pattern and seed are its base.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from pydantic import field_validator

from app.curves.guided_query import GUIDED, GUIDED_WORDS, Guided
from app.curves.lists import Alphas, BlockMethods, BlockSizes, Budgets, Methods, Patterns, Seeds, Texts
from app.shared.charts.series import Scale
from app.shared.charts.shapes import Over
from app.shared.sweeps.grid import (
    SHAPE_METHODS,
    SHAPE_PATTERNS,
    SHOWN_ALPHAS,
    SHOWN_BLOCKS,
    SHOWN_METHODS,
    SHOWN_PATTERNS,
    block_methods,
)
from core.spec import EVERY_METHOD, Calibration, RunSpec, parse_pattern
from core.spec.base import FrozenModel
from core.spec.codec import ChoiceCodec, ModelCodec
from core.spec.errors import BadInput
from core.spec.flags import CALIBRATION_WORDS, EVALUATION_WORDS, EVALUATIONS, RUN_WORDS, RUNS

BASE_WORDS = tuple(word for word in RUNS.words if word in (*RUN_WORDS, *CALIBRATION_WORDS, *EVALUATION_WORDS) and word != "seed")
TabName = Literal["sparsity", "blocks", "alpha", "time", "shapes"]
FIRST: TabName = "sparsity"
LIST_WORDS = ("methods", "patterns", "block_sizes", "alphas", "budgets", "seeds")  # of all views, in the order of a link


class View(FrozenModel):
    """Base class of the views: their fields are the lists that they vary, as checked texts."""

    label: ClassVar[str]
    several_patterns: ClassVar[bool] = False
    several_kinds: ClassVar[bool] = False

    @classmethod
    def methods_offered(cls) -> tuple[str, ...]:
        """The methods that the view can compare."""
        return tuple(EVERY_METHOD)

    @property
    def lists(self) -> Mapping[str, Texts]:
        """The lists by word."""
        return dict(self)

    @field_validator("patterns", check_fields=False)
    @classmethod
    def _one_kind(cls, texts: Texts) -> Texts:
        if not cls.several_patterns and len(texts) > 1:
            raise BadInput("patterns", ",".join(texts), "one pattern", "Only the first view compares patterns.")
        if not cls.several_kinds and len({parse_pattern(text).kind for text in texts}) > 1:
            raise BadInput("patterns", ",".join(texts), "patterns of one kind", "Counted sparsities of different kinds are not one "
                           "curve: the view Parameters left compares kinds.")
        return texts


class SparsityView(View):
    """Perplexity over sparsity."""

    label = "Sparsity"
    several_patterns = True
    methods: Methods = SHOWN_METHODS
    patterns: Patterns = SHOWN_PATTERNS["unstructured"]
    seeds: Seeds = ("1",)


class BlocksView(View):
    """Perplexity over B."""

    label = "Block size B"
    methods: BlockMethods = ("thanos",)
    patterns: Patterns = ("2:4",)
    block_sizes: BlockSizes = tuple(map(str, SHOWN_BLOCKS))
    seeds: Seeds = ("1",)

    @classmethod
    def methods_offered(cls) -> tuple[str, ...]:
        return block_methods()


class AlphaView(View):
    """Perplexity over α."""

    label = "Outlier rows α"
    methods: Methods = ("thanos",)
    patterns: Patterns = ("columns:0.3",)
    alphas: Alphas = tuple(f"{alpha:g}" for alpha in SHOWN_ALPHAS)
    budgets: Budgets = ("paper", "iso")
    seeds: Seeds = ("3",)


class TimeView(View):
    """Perplexity over time."""

    label = "Time and memory"
    methods: Methods = SHOWN_METHODS
    patterns: Patterns = ("0.5",)
    seeds: Seeds = ("1",)


class ShapesView(View):
    """Perplexity over what is left, of zeros and of shapes that shrink."""

    label = "Parameters left"
    several_patterns = several_kinds = True
    methods: Methods = SHAPE_METHODS
    patterns: Patterns = SHAPE_PATTERNS
    seeds: Seeds = ("1",)


TABS: dict[str, type[View]] = {"sparsity": SparsityView, "blocks": BlocksView, "alpha": AlphaView, "time": TimeView, "shapes": ShapesView}


class Asked(FrozenModel):
    """A view, what all runs share, the axis of perplexity; of the view of shapes what it has across, and its blocks per input."""

    view: SparsityView | BlocksView | AlphaView | TimeView | ShapesView = SparsityView()
    base: RunSpec = RunSpec()
    scale: Scale = "auto"
    over: Over = "parameters"
    guided: Guided = Guided()

    @property
    def tab(self) -> TabName:
        """The word of the view."""
        return cast("TabName", next(tab for tab, kind in TABS.items() if kind is type(self.view)))

    @property
    def lists(self) -> Mapping[str, Texts]:
        """The lists of the view by word."""
        return self.view.lists


@dataclass(frozen=True, kw_only=True)
class _AskedCodec(ModelCodec[Asked]):
    @property
    def words(self) -> tuple[str, ...]:
        return ("tab", *BASE_WORDS, "scale", "over", *LIST_WORDS, *GUIDED_WORDS)


VIEWS: ChoiceCodec[View] = ChoiceCodec(word="tab", kinds=TABS, default=FIRST, title=lambda tab: f"the view {TABS[tab].label}")
BASES = ModelCodec(model=RunSpec, fields={word: word for word in RUN_WORDS}, parts={
    "calibration": ModelCodec(model=Calibration, fields={word: name for word, name in CALIBRATION_WORDS.items() if word != "seed"}),
    "evaluation": EVALUATIONS})
CODEC = _AskedCodec(model=Asked, fields={"scale": "scale", "over": "over"}, parts={"view": VIEWS, "base": BASES, "guided": GUIDED})


def read(words: Mapping[str, str]) -> tuple[Asked, tuple[str, ...]]:
    """Request of a link, and one sentence for each word that could not be used. Never raises."""
    asked, refused = CODEC.read(words)
    return asked, tuple(map(str, refused))


def write(asked: Asked) -> dict[str, str]:
    """The link of what is asked; defaults are left out."""
    return CODEC.write(asked)
