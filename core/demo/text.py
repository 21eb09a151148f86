"""Training text of the demo model: documentation that every install of PruneScope already holds.

The calibration split of the standard library (core/data/corpus.py) and the docstrings of the packages
that PruneScope needs anyway. Two texts are kept from training: the evaluation split of the standard
library and a share of the packages' modules. Docstrings repeat each other, so held out means more
than another file: a training paragraph that shares a run of ten words with either text is dropped.
"""

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path

from core.data.corpus import Document, docstring_documents, join_documents, shingles_of, split_documents, without_overlap, without_repeats

# Folder to import -> distribution that holds it: permissive licenses only (no text is shipped).
PACKAGES = {
    "transformers": "transformers",
    "plotly": "plotly",
    "torch": "torch",
    "scipy": "scipy",
    "sympy": "sympy",
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "altair": "altair",
    "networkx": "networkx",
    "numpy": "numpy",
    "streamlit": "streamlit",
    "nltk": "nltk",
    "huggingface_hub": "huggingface_hub",
    "dask": "dask",
    "datasets": "datasets",
    "peft": "peft",
    "numba": "numba",
    "narwhals": "narwhals",
    "pydantic": "pydantic",
    "distributed": "distributed",
    "mpmath": "mpmath",
    "tornado": "tornado",
    "lm_eval": "lm_eval",
    "accelerate": "accelerate",
    "rich": "rich",
    "fsspec": "fsspec",
    "click": "click",
    "more_itertools": "more-itertools",
    "jinja2": "Jinja2",
    "joblib": "joblib",
    "aiohttp": "aiohttp",
}
SKIPPED_FOLDERS = frozenset({"test", "tests", "testing", "vendor", "vendored", "_vendor", "__pycache__"})
HELD_OUT_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class DemoText:
    """Documents to learn from, and two texts that are held out from them."""

    train: tuple[Document, ...]
    standard_library: str  # held out: the evaluation split the app uses
    docstrings: str  # held out: whole modules of the packages
    sources: tuple[str, ...]  # "torch 2.13.0", for the model card


def demo_text(packages: Mapping[str, str] = PACKAGES) -> DemoText:
    """Read the standard library and the packages (folder -> distribution): all of them take ten seconds."""
    splits = split_documents()
    seen: set[str] = set()
    standard = tuple(without_repeats(splits["evaluation"], seen))
    modules = sorted(package_documents(packages), key=lambda document: _hash(document.name))
    cut = HELD_OUT_SHARE * 2**64
    chosen = [document for document in modules if _hash(document.name) < cut]
    held_out = tuple(without_overlap(without_repeats(chosen, seen), shingles_of(standard)))
    shingles = shingles_of(chain(standard, held_out))
    rest = [document for document in modules if _hash(document.name) >= cut]
    train = without_overlap(without_repeats(chain(splits["calibration"], rest), seen), shingles)
    return DemoText(
        train=tuple(train),
        standard_library=join_documents(standard),
        docstrings=join_documents(held_out),
        sources=tuple(f"{name} {metadata.version(name)}" for name in packages.values()),
    )


def package_documents(packages: Iterable[str]) -> Iterator[Document]:
    """The docstrings of the installed packages, one document a module."""
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{package} is not installed: install requirements.txt first")
        for document in docstring_documents(Path(spec.origin).parent, SKIPPED_FOLDERS):
            yield Document(name=f"{package}.{document.name}", paragraphs=document.paragraphs)


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"demo:{name}".encode()).digest()[:8])
