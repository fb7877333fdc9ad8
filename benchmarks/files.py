"""Many small files to DuckDB: documents, spreadsheets and pictures. `make bench-files`. Asserts nothing.

    make bench-files FILES=10000

Loads a tenth of FILES files of each kind, and then the others: the figures are of the second run, beside which the
memory of the first tells whether it is flat. Then once more, when nothing has changed.
"""

import io
import os
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from contestants import HERE
from databases import measure
from PIL import Image

from sandbox.paper_formats import pdf
from sandbox.workbooks import xlsx

WORDS = [
    "coffee",
    "machine",
    "boiler",
    "pump",
    "order",
    "invoice",
    "claim",
    "customer",
    "delivery",
    "roast",
    "water",
    "pressure",
    "filter",
    "grinder",
    "price",
]


def document(chance: random.Random, number: int) -> tuple[str, bytes]:
    """A page of about 150 words: one of five a PDF, the others HTML, e-mail, Markdown and text."""
    text = " ".join(chance.choices(WORDS, k=150))
    match number % 5:
        case 0:
            return "pdf", pdf(f"Paper {number}", [[text]])
        case 1:
            return "html", f"<html><title>Paper {number}</title><body><p>{text}</p></body></html>".encode()
        case 2:
            head = (
                f"From: a@example.com\nTo: b@example.com\nSubject: Paper {number}\nMessage-ID: <{number}@example.com>\n"
            )
            return "eml", f"{head}\n{text}\n".encode()
        case 3:
            return "md", f"# Paper {number}\n\n{text}\n".encode()
    return "txt", f"Paper {number}\n\n{text}\n".encode()


def spreadsheet(chance: random.Random, number: int) -> tuple[str, bytes]:
    """Twenty rows of four cells, as a workbook or a csv file."""
    rows = [[f"SKU-{number}-{row}", chance.choice(WORDS), chance.randrange(1000), chance.random()] for row in range(20)]
    if number % 2:
        return "xlsx", xlsx({"Sheet": rows})
    return "csv", "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def picture(chance: random.Random, number: int) -> tuple[str, bytes]:
    """A JPEG of 640 by 480 pixels."""
    out = io.BytesIO()
    small = Image.frombytes("RGB", (16, 12), chance.randbytes(16 * 12 * 3))
    small.resize((640, 480), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return "jpg", out.getvalue()


KINDS: dict[str, Callable[[random.Random, int], tuple[str, bytes]]] = {
    "documents": document,
    "spreadsheets": spreadsheet,
    "images": picture,
}


def load(system: str, folder: Path, scratch: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB (of the larger process) of one run."""
    settings = [f"PYTHONPATH={HERE.parent}", "DBT_TARGET=local", f"WAREHOUSE_DIR={scratch}"]
    settings.append(f"SOURCES__{system.upper()}__FOLDER={folder}")
    return measure(["env", *settings, sys.executable, "-m", "ingestion", "run", system], scratch)


def main() -> None:
    """Runs all kinds and prints the figures; the option is in the environment."""
    files = int(os.environ.get("FILES") or 10_000)
    print(f"{files:,} files of each kind, {os.cpu_count()} cores")
    print(f"{'':<14}{'MB':>6}{'s':>8}{'files/s':>9}{'CPU s':>8}{'peak MB':>9}{'of a tenth':>12}{'unchanged s':>13}")
    for system, make in KINDS.items():
        with tempfile.TemporaryDirectory(prefix="catchment-files-") as name:
            folder, few, many = (Path(name) / part for part in ("files", "few", "many"))
            few.mkdir()
            many.mkdir()
            chance, size, figures = random.Random(1), 0, []
            for start, end, scratch in ((0, files // 10, few), (files // 10, files, many)):
                for number in range(start, end):
                    ending, content = make(chance, number)
                    path = folder / f"{number % 100:02}" / f"{number:06}.{ending}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                    size += len(content)
                figures.append(load(system, folder, scratch))
            (_, _, peak_few), (seconds, cpu, peak) = figures
            unchanged, _, _ = load(system, folder, many)
            print(
                f"{system:<14}{size / 1e6:>6.0f}{seconds:>8.1f}{0.9 * files / seconds:>9.0f}{cpu:>8.1f}{peak:>9.0f}"
                f"{peak_few:>12.0f}{unchanged:>13.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
