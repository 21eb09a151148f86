"""Requests: patterns, methods' parameters, texts, runs, and their words. No torch."""

from core.spec.external import load_methods
from core.spec.methods import (
    EVERY_METHOD,
    METHOD_LABELS,
    METHODS,
    Magnitude,
    Method,
    MethodParameters,
    SparseGPT,
    Thanos,
    Wanda,
    make_method,
    register_method,
    unregister_method,
)
from core.spec.patterns import Blocks, Pattern, SemiStructured, Structured, Unstructured, parse_pattern, pattern_word
from core.spec.run import OPTIONS, YOUNGER, RunSpec
from core.spec.texts import Calibration, Evaluation
from core.spec.updates import UPDATES, Update

__all__ = [
    "EVERY_METHOD", "METHODS", "METHOD_LABELS", "OPTIONS", "UPDATES", "YOUNGER", "Blocks", "Calibration", "Evaluation", "Magnitude",
    "Method", "MethodParameters", "Pattern", "RunSpec", "SemiStructured", "SparseGPT", "Structured", "Thanos", "Unstructured",
    "Update", "Wanda", "make_method", "parse_pattern", "pattern_word", "register_method", "unregister_method",
]

load_methods()
