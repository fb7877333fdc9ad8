"""What the company and its customers write to each other, in the customer's language: the texts of letters.toml."""

import tomllib
from pathlib import Path
from typing import Any

from sandbox.simulation import Person

LANGUAGES = {"DE": "de", "AT": "de", "CH": "de", "FR": "fr", "IT": "it", "NL": "nl", "SE": "sv"}  # others: English
TEXTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())


def language(person: Person) -> str:
    """In which language we write to a person (ISO 639-1)."""
    return LANGUAGES.get(person.country, "en")


def letter(kind: str, language: str, **values: Any) -> tuple[str, list[str]]:
    """Title and paragraphs of a letter; a paragraph of what `values` have may be several lines."""
    text = TEXTS[language][kind]
    paragraphs = (" ".join(part.split()) for part in text["text"].strip().split("\n\n"))
    return text["title"].format(**values), [paragraph.format(**values) for paragraph in paragraphs]
