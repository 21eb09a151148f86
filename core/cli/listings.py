"""Lists of what there is, printed as tables."""

from __future__ import annotations

from rich.table import Table

from core.cli.screen import Screen
from core.spec import EVERY_METHOD


def show_methods() -> None:
    """The methods and their parameters."""
    listing = Table("method", "what it does", "parameters (default)", box=None)
    for name, method in EVERY_METHOD.items():
        fields = [f"--{field.replace('_', '-')} ({'automatic' if about.default is None else about.default})"
                  for field, about in method.parameters().items()]
        listing.add_row(name, (method.__doc__ or "").strip(), "\n".join(fields) or "none")
    Screen().print(listing)


def show_models() -> None:
    """The models at hand, and those that cannot be used with the reason."""
    from core.models.sources import list_models, unusable_models

    listing = Table("model", "family", "blocks", "parameters", "context", "revision", box=None)
    for model in list_models():
        listing.add_row(model.name, model.family, str(model.blocks), f"{model.parameters:,}", str(model.context), model.revision[:12])
    Screen().print(listing)
    for model in list_models():
        for note in model.notes:
            Screen().print(f"{model.name}: {note}", markup=False)
    for model in unusable_models():
        Screen().print(f"{model.name}: cannot be used. {model.reason}", markup=False)
