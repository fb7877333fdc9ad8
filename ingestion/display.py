"""What a run shows: progress on a terminal, plain lines elsewhere, and the summary at the end."""

import json
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table


class Display:
    """Shows rows read per system while a run goes on; a context manager."""

    def __init__(self, systems: list[str]) -> None:
        """`systems`: those that are read."""
        self.console = Console(soft_wrap=True)
        self.is_terminal = sys.stdout.isatty()
        self.started = time.monotonic()
        self.rows: dict[tuple[str, str], int] = {}
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<24}"),
            TextColumn("{task.fields[rows]:>12,} rows read"),
            TextColumn("{task.fields[stream]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {s: self.bar.add_task(s, total=None, rows=0, stream="") for s in systems}

    def __enter__(self) -> "Display":
        if self.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def progress(self, system: str, stream: str, rows: int) -> None:
        """Takes note that so many rows of a stream have been read so far."""
        if not self.is_terminal:
            if (system, stream) not in self.rows:
                print(f"{system}.{stream}: reading", flush=True)
            self.rows[system, stream] = rows
            return
        self.rows[system, stream] = rows
        total = sum(count for (of, _), count in self.rows.items() if of == system)
        self.bar.update(self.tasks[system], rows=total, stream=stream)

    def summary(self, ledger: list[dict[str, Any]], errors: dict[str, str], target: str, place: str) -> None:
        """What landed from where, what was rejected, what failed, and what to do about it."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("stream")
        for name in ("read", "loaded", "unchanged", "rejected", "gone"):
            table.add_column(name, justify="right")
        table.add_column("status")
        for row in sorted(ledger, key=lambda row: (row["system"], row["stream"])):
            counts = [row[f"rows_{name}"] for name in ("read", "loaded", "unchanged", "rejected", "marked_gone")]
            status = "ok" if row["status"] == "complete" else "[red]failed"
            table.add_row(f"{row['system']}.{row['stream']}", *(f"{count:,}" for count in counts), status)
        self.console.print(table)
        for row in ledger:
            name = f"{row['system']}.{row['stream']}"
            if row["unknown_fields"]:
                self._line(
                    "note", f"{name}: has no column, or does not fit it; see _unknown_fields: {row['unknown_fields']}"
                )
            for note in json.loads(row["notes"] or "[]"):
                self._line("note", f"{name}: {note}")
            if row["error"]:
                self._line("failed", f"{name}: {row['error']}")
        for system, error in errors.items():
            self._line("failed", f"{system}: not loaded, nothing is lost, run again: {error}")
        rejected = sum(row["rows_rejected"] for row in ledger)
        if rejected:
            rows = "1 row does not fit its" if rejected == 1 else f"{rejected:,} rows do not fit their"
            self._line("note", f"{rows} contract; kept with the reason in the mart fct_rejected_rows")
        seconds = time.monotonic() - self.started
        self.console.print(f"{target}: loaded into {place} in {seconds:.1f} s", highlight=False)

    def _line(self, kind: str, text: str) -> None:
        self.console.print(f"{kind}: {text}", highlight=False, markup=False)
