"""The pages of the docs, for tests that run what they say."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PATH_LINE = re.compile(r"(?:#|--) ([\w./]+\.\w+)( \(at the end\))?\n")


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / "docs" / name).read_text()


def script(page: str, languages: tuple[str, ...] = ("sh", "sql", "yaml", "toml", "python")) -> str:
    """A page's code blocks as one bash script: a block whose first line names a file writes it, `sh` blocks run."""
    lines = ["set -euo pipefail", "trap 'jobs -p | xargs -r kill' EXIT"]
    for language, text in BLOCK.findall(page):
        if language not in languages:
            continue
        if language == "sh":
            lines.append(text)
        elif named := PATH_LINE.match(text):
            path, at_the_end = named.groups()
            arrow = ">>" if at_the_end else ">"
            lines.append(f"mkdir -p {Path(path).parent}\ncat {arrow} {path} <<'END_OF_FILE'")
            lines.append(text[named.end() :] + "END_OF_FILE")
    return "\n".join(lines)
