"""Temporary forwards and input hooks of modules."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

Forward = Callable[..., Any]


@contextmanager
def other_forwards(replacements: Iterable[tuple[nn.Module, Forward]]) -> Generator[None]:
    """Other forwards for some modules, for the time of the `with`."""
    before: list[tuple[nn.Module, Any]] = []
    try:
        for module, forward in replacements:
            before.append((module, vars(module).get("forward")))
            vars(module)["forward"] = forward
        yield
    finally:
        for module, forward in before:
            del vars(module)["forward"]
            if forward is not None:
                vars(module)["forward"] = forward


@contextmanager
def watched_inputs(watched: Iterable[tuple[nn.Module, Callable[[Tensor], None]]]) -> Generator[None]:
    """Call back with a layer's input just before the layer runs. The hooks are gone after the `with`, whatever happened in it."""

    def hook(watch: Callable[[Tensor], None]) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        return lambda layer, args, kwargs: watch(args[0] if args else next(iter(kwargs.values())))

    with ExitStack() as hooks:
        for layer, watch in watched:
            hooks.callback(layer.register_forward_pre_hook(hook(watch), with_kwargs=True).remove)
        yield
