"""Large files are read once before their content address is known: with a progress bar on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from core.cli.options import progress_bar
from core.data.digests import NotReadYet, digest, remembered_only
from core.data.files import Stamp
from core.spec import RunSpec


def read_large_files(spec: RunSpec) -> None:
    """Read the large files of a spec's model and texts whose digests are not remembered. Raises PruneError for what is not there."""
    from core.run.revisions import revisions

    tried: set[str] = set()
    while True:
        try:
            with remembered_only():
                revisions(spec)
        except NotReadYet as unread:
            if tried.issuperset(known.path for known in unread.files):  # the digest cannot be kept: the run reads them itself
                return
            tried.update(known.path for known in unread.files)
            _read(unread.files)
        else:
            return


def _read(files: Sequence[Stamp]) -> None:
    with progress_bar() as bar:
        task = bar.add_task("Reading large files once, to know them by their content", total=sum(known.size for known in files))
        for known in files:
            digest(known, partial(bar.advance, task))
