"""Courier of a job that a worker of another home computes: gives it its parcel, sends what it lacks, fetches what it has written. No torch.

It runs in a thread beside the store, and comes when the desk rings; while there is a desk, it looks once a second by itself. Everything
may be done twice: a courier that is lost in the middle, with its process or the scheduler, is replaced by another.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from app.workers import queue, tasks
from app.workers.away import carry
from app.workers.away.homecoming import enter, rows_for
from app.workers.away.inputs import describe, path_of
from app.workers.away.parcel import PIECE, Input, Item, Look, Parcel, SizedFile, Want
from app.workers.queue import Job
from cache import Store, dense_key
from cache.space import MARGIN, DiskFull, free_bytes, is_full
from core.records import Progress
from core.run.revisions import CORE_VERSION, revisions
from core.spec.errors import BadInput, PruneError

if TYPE_CHECKING:
    from distributed import Client

_LOOK = 1.0  # seconds between two looks at a desk that does not ring
_RETRY = 2.0  # seconds between two attempts on a full disk
_BOUND, _USUAL_GB = "PRUNESCOPE_SEND_GB", 50.0


class Courier:
    """Serves the desk at one worker until the job is not wanted any more, the desk is gone, or `closed()`."""

    def __init__(self, store: Store, client: Client, job: Job, address: str, closed: Callable[[], bool]) -> None:
        self._store, self._client, self._job, self.address, self._closed = store, client, job, address, closed
        self._bell = threading.Event()
        self._inputs: tuple[Input, ...] = ()
        self._thread = threading.Thread(target=self._serve, name="prunescope-courier", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once it has ended, or ends."""
        return self._thread.is_alive()

    def ring(self) -> None:
        """The desk wants something."""
        self._bell.set()

    def _serve(self) -> None:
        there = True
        while there and not self._closed():
            self._bell.wait(_LOOK)
            self._bell.clear()
            try:
                there = self._visit()
            except DiskFull as error:
                self._tell("room", str(error))
                self._bell.wait(_RETRY)
            except PruneError as error:
                queue.fail(self._store, self._job, str(error))
            except Exception as error:  # the worker or the scheduler is lost; who replaces it rings, and so does a desk that is still there
                carry.log.info("the desk of %s at %s does not answer: %r", self._job.name, self.address, error)
                return

    def _visit(self) -> bool:
        """Carry out what the desk wants now; False if there is no desk, or nobody wants its job."""
        while not self._closed():
            text = self._call(carry.look)
            if text is None:
                return False
            if not queue.still_wanted(self._store, self._job):
                self._call(carry.give_up)
                return False
            look = Look.model_validate_json(text)
            if look.stage == "parcel":
                self._call(carry.give, self._parcel().model_dump_json())
                return True
            if not look.wants and not look.items:
                return True
            self._require_allowed(look)
            total, sent = sum(want.file.size for want in look.wants), 0
            for want in look.wants:
                for count in self._send(want):
                    self._tell("load", f"Sending what {look.host} does not have: {sent / 1e6:,.0f} of {total / 1e6:,.0f} MB")
                    sent += count
            taken: list[int] = []
            try:
                for item in look.items:
                    self._fetch(item)
                    taken.append(item.number)
            finally:
                self._call(carry.take, taken)
        return True

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The value of a function of the desk, on its worker. Raises OSError or what distributed raises where it is lost."""
        return carry.call(self._client, self.address, function, self._job.name, *arguments)

    def _parcel(self) -> Parcel:
        spec = queue.spec_of(self._store, self._job)
        if spec is None:
            raise PruneError("The run was deleted.")
        found = revisions(spec)
        self._inputs = describe(spec, found)
        if self._job.kind == queue.RUN:  # a worker has taken it up
            self._store.change_record(self._job.key, lambda now: now.begun() if now and now.state == "queued" else None)
        record = self._store.record(self._job.key)
        folder = self._store.journal(self._job.key).folder
        whole = [path for record in sorted(folder.glob("block-*.json")) for path in (record.with_suffix(".safetensors"), record)
                 if path.with_suffix(".safetensors").is_file()]
        return Parcel(spec=spec, record=None if record is None else record.model_dump_json(), inputs=self._inputs, core=CORE_VERSION,
                      rows=rows_for(self._store, self._job, (f"dense-{dense_key(spec, found)}",)),
                      blocks=tuple(SizedFile(name=path.name, size=path.stat().st_size) for path in whole))

    def _require_allowed(self, look: Look) -> None:
        """Raises BadInput where model and texts that a worker lacks may not be sent, or would not find room with the finished blocks."""
        needed = sum(want.file.size for want in look.wants if want.box != "journal")
        bound, lacking = send_bound(), f"{needed / 1e9:.3g} GB that the worker does not have"
        remedy = "Copy the model into the worker's PRUNESCOPE_MODELS or its hub cache, where it is found by its content."
        if needed > bound:
            raise BadInput("model", lacking, f"at most {bound / 1e9:g} GB to send ({_BOUND})", remedy)
        wanted, there = sum(want.file.size for want in look.wants), f"{look.room / 1e9:.1f} GB, free on the disk of {look.host}"
        if needed and wanted + MARGIN > look.room:
            raise BadInput("model", lacking, there, remedy)
        if wanted and wanted + MARGIN > look.room:
            raise BadInput("blocks", f"{wanted / 1e9:.3g} GB of finished blocks", there,
                           "Free some space there, and ask for this run again: it continues after its finished blocks.")

    def _send(self, want: Want) -> Iterator[int]:
        """Send a file; yields the bytes of each piece."""
        if want.box == "journal":
            place = self._store.journal(self._job.key).folder / Path(want.file.name).name
        else:
            spec = queue.spec_of(self._store, self._job)
            asked = next((known for known in self._inputs or self._parcel().inputs if known.revision == want.box), None)
            if asked is None or spec is None:
                raise PruneError("A model or text has changed since this run was asked for. Ask for it again.")
            place = path_of(asked, spec, want.file.name)
        if not place.is_file() or place.stat().st_size != want.file.size:
            raise PruneError(f"{place.name} has changed, or is gone, since this run was asked for. Ask for it again.")
        with place.open("rb") as file:
            for offset in range(0, want.file.size, PIECE):
                piece = file.read(PIECE)
                self._call(carry.receive, want.model_dump_json(), offset, piece)
                yield len(piece)

    def _fetch(self, item: Item) -> None:
        if item.kind == "row":
            text = item.text if item.text is not None else b"".join(self._pieces(item)).decode()
            enter(self._store, self._job, item.name, text)
            return
        exports = self._store.exports
        place = exports.path(self._job.key) if item.kind == "zip" else self._store.journal(self._job.key).folder / Path(item.name).name
        if free_bytes(self._store.home) < item.size + MARGIN:
            raise DiskFull(str(self._store.home), item.size)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = place.with_name(f".{place.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            with part.open("wb") as file:
                for piece in self._pieces(item):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
        except OSError as error:
            if is_full(error, self._store.home):
                raise DiskFull(str(self._store.home), item.size) from error
            raise
        finally:
            part.unlink(missing_ok=True)

    def _pieces(self, item: Item) -> Iterator[bytes]:
        for offset in range(0, item.size, PIECE):
            piece = self._call(carry.read, item.number, offset, min(PIECE, item.size - offset))
            if piece is None or len(piece) != min(PIECE, item.size - offset):
                raise ConnectionError(f"{item.name} is not there any more")
            yield piece

    def _tell(self, stage: Literal["load", "room"], note: str) -> None:
        """Say on the page of a run what it waits for."""
        told = Progress(stage=stage, block=0, blocks=0, fraction=0.0, seconds=0.0, note=note)
        with suppress(OSError):
            self._client.log_event(tasks.topics(self._job.name)[1], told.model_dump_json())


def send_bound() -> float:
    """Bytes of a model and texts that may be sent to a worker for a run: PRUNESCOPE_SEND_GB, 50 by default."""
    text = os.environ.get(_BOUND, "")
    try:
        return float(text or _USUAL_GB) * 1e9
    except ValueError:
        raise BadInput(_BOUND, text, "a number of gigabytes, 0 for none", "Change it, and start PruneScope again.") from None
