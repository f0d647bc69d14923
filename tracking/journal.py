"""What a run logs waits on disk until the tracking server has it: training never waits for a server.

A `Journal` is an append-only file of JSON lines in the state folder, one for each MLflow run. A `Buffer` appends to it
and delivers what is not delivered yet: at once where the store is a local database, otherwise from a thread that
retries with growing pauses. Knows nothing of MLflow: whoever opens a buffer gives the function that sends.

Exactly once: a record carries the time at which it was measured, so that sending it twice is the same row in the
server's database; and of two records for the same curve and step only the first is kept. Whoever logs several
trainings into one run gives each a name of its own, which begins its keys (`tracking.delivery.trial`).
"""

import fcntl
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["metric", "param", "tag", "dataset", "file"]
BATCH = 100  # records at a time: MLflow takes at most 100 parameters in one request
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0  # seconds between two attempts
logger = logging.getLogger("saerl")


class RefusedError(Exception):
    """The server has answered, and will never take this record; its text is the server's sentence."""


@dataclass(frozen=True)
class Record:
    """One line of the journal; `curve` marks a metric that has a value at every step, the others are headlines."""

    kind: Kind
    key: str
    value: float | str
    step: int = 0
    curve: bool = False
    time_ms: int = 0

    @property
    def name(self) -> tuple[str, str, int]:
        """What the record is about; two records of one name are the same fact, or its correction."""
        return self.kind, self.key, self.step


Send = Callable[[list[Record]], None]


class Journal:
    """The records of one run on disk, and how many of them are delivered. A line that a kill cut off is ignored."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lines, self._mark = folder / "records.jsonl", folder / "delivered"
        self._known: dict[tuple[str, str, int], float | str] = {}
        self.records: list[Record] = []
        self.reload()

    def reload(self) -> None:
        """Read the file again; only one process at a time appends, but another may deliver."""
        text = self._lines.read_bytes() if self._lines.is_file() else b""
        whole = text[: text.rfind(b"\n") + 1]
        self._n_bytes = len(whole)
        self.records = [Record(**json.loads(line)) for line in whole.splitlines()]
        self._known = {r.name: r.value for r in self.records}

    @property
    def n_delivered(self) -> int:
        """Return how many records, from the first on, the server has."""
        return int(self._mark.read_text()) if self._mark.is_file() else 0

    def pending(self) -> list[Record]:
        """Return the records that are not delivered yet, oldest first."""
        return self.records[self.n_delivered :]

    def append(self, records: list[Record]) -> int:
        """Append what is new and return its number: of a curve the first value counts, of a headline the last."""
        now = time.time_ns() // 1_000_000
        new = []
        for record in records:
            known = self._known.get(record.name)
            if known is None or (not record.curve and known != record.value):
                new.append(Record(**{**asdict(record), "time_ms": now}))
                self._known[record.name] = record.value
        with self._lines.open("ab") as file:
            file.truncate(self._n_bytes)  # the half line of a process that was killed here
            file.write("".join(json.dumps(asdict(record)) + "\n" for record in new).encode())
            self._n_bytes = file.tell()
        self.records += new
        return len(new)

    def keep_file(self, file: Path, key: str) -> Record:
        """Copy a file beside the journal, where it waits, and return its record; `key` is its place among the files."""
        copy = self.folder / "files" / key
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        return Record("file", key, f"{copy.stat().st_mtime_ns}")

    def mark(self, n_delivered: int) -> None:
        """Note durably that the first `n_delivered` records have arrived."""
        fresh = self._mark.with_suffix(".new")
        fresh.write_text(str(n_delivered))
        fresh.replace(self._mark)

    def reject(self, record: Record, reason: str) -> None:
        """Put a record aside that the server refuses, with its reason."""
        logger.warning("the tracking server refuses %s '%s': %s", record.kind, record.key, reason)
        with (self.folder / "rejected.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(record), "reason": reason}) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time deliver."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class Buffer:
    """Takes what a run logs and delivers it; `in_background` for a server, at once for a local database."""

    def __init__(self, journal: Journal, send: Send, *, in_background: bool) -> None:
        self.journal = journal
        self._send = send
        self._guard = threading.RLock()  # of the journal: the thread delivers while a step appends
        self._work, self._idle, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._in_background = in_background
        self.last_error = ""

    def start(self) -> None:
        """Begin to deliver what waits."""
        if self._in_background and self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._loop, name="saerl-tracking", daemon=True)
            self._thread.start()
        self._notice()

    def add(self, records: list[Record]) -> None:
        """Put records on disk and return; they are delivered as soon as the server takes them."""
        with self._guard:
            n_new = self.journal.append(records)
        if n_new:
            self._notice()

    def add_file(self, file: Path, key: str = "") -> None:
        """Put a copy of a file on disk and return; without a key its place is its name."""
        with self._guard:
            record = self.journal.keep_file(file, key or file.name)
        self.add([record])

    def close(self, wait_s: float) -> int:
        """Wait at most about `wait_s` seconds for what is not delivered, stop, and return how many records are left."""
        deadline = time.monotonic() + wait_s
        while self.n_pending and time.monotonic() < deadline:
            if self._thread is None:
                self._notice()
                time.sleep(0 if not self.n_pending else min(_FIRST_PAUSE, wait_s))
            else:
                self._idle.wait(min(0.05, wait_s))
        self._stop.set()
        self._work.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        return self.n_pending

    @property
    def n_pending(self) -> int:
        """Return how many records are not delivered yet."""
        with self._guard:
            return len(self.journal.pending())

    def _notice(self) -> None:
        self._idle.clear()
        if self._thread is not None:
            self._work.set()
        elif not self._in_background:
            self._try()

    def _loop(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            self._work.clear()
            if self._try():
                pause = _FIRST_PAUSE
                self._idle.set()
                self._work.wait()
            else:
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _try(self) -> bool:
        """Deliver until nothing waits; False at the first failure that time may heal."""
        try:
            with self.journal.locked():
                while batch := self._next_batch():
                    self._deliver(batch)
        except Exception as error:  # noqa: BLE001 (whatever the server or the network does must not end the training)
            if not self.last_error:
                logger.warning(
                    "the tracking server does not take what is logged (%s); it waits in %s and is delivered later",
                    type(error).__name__,
                    self.journal.folder,
                )
            self.last_error = type(error).__name__
            return False
        if self.last_error:
            logger.info("the tracking server takes what is logged again")
            self.last_error = ""
        return True

    def _next_batch(self) -> list[Record]:
        """Return the next records that fit into one request: values together, a data set or a file alone."""
        with self._guard:
            waiting = self.journal.pending()[:BATCH]
        alone = [i for i, record in enumerate(waiting) if record.kind in ("dataset", "file")]
        if not alone:
            return waiting
        return waiting[: max(alone[0], 1)]

    def _deliver(self, batch: list[Record]) -> None:
        try:
            self._send(batch)
        except RefusedError as error:
            if len(batch) > 1:  # find the one that is refused
                for record in batch:
                    self._deliver([record])
                return
            self.journal.reject(batch[0], str(error))
        with self._guard:
            self.journal.mark(self.journal.n_delivered + len(batch))
