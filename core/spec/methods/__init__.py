"""The methods' parameters, one class each: what a person may set, and what the method declares of itself. No torch.

A method is its class here, its generator in core/methods, and its color in app/shared/charts. `register_method` takes one from anywhere.
"""

from core.spec.methods.base import Blocked, Compensating, Damped, Granular, MethodParameters, Summary, named
from core.spec.methods.compensation import Obc, SparseGPT, Thanos
from core.spec.methods.descent import AdaPrune, Admm1, AdmmGrad, Alps
from core.spec.methods.frontier import Frontier
from core.spec.methods.registry import (
    EVERY_METHOD,
    METHOD_LABELS,
    METHODS,
    SCORES,
    Method,
    adapted_method,
    make_method,
    register_method,
    unregister_method,
)
from core.spec.methods.scores import Dsnot, Magnitude, Wanda
from core.spec.methods.structures import Angular, Influence, LeftOut, StructureScore, Taylor

for _method in (Magnitude, Wanda, SparseGPT, Thanos, Obc, Admm1, AdmmGrad, AdaPrune, Dsnot, Alps, Frontier, Influence, Angular, LeftOut,
                Taylor):
    register_method(_method)

__all__ = [
    "EVERY_METHOD", "METHODS", "METHOD_LABELS", "SCORES", "AdaPrune", "Admm1", "AdmmGrad", "Alps", "Angular", "Blocked", "Compensating",
    "Damped", "Dsnot", "Frontier", "Granular", "Influence", "LeftOut", "Magnitude", "Method", "MethodParameters", "Obc", "SparseGPT",
    "StructureScore", "Summary", "Taylor", "Thanos", "Wanda", "adapted_method", "make_method", "named", "register_method",
    "unregister_method",
]
