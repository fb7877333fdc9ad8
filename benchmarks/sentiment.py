"""How well the sentiment of labelled texts is told: `make bench-sentiment FILES="a.tsv b.tsv"`. Asserts nothing.

A line of a file is a label (negative, neutral or positive), a tab, and an English text. Macro-recall is the mean of the
three labels' recalls, which SemEval ranks by, with the half of its 95 % interval.
"""

import os
import sys
import time
from collections import Counter
from pathlib import Path

import yaml

from ingestion import sentiment

LABELS = ("negative", "neutral", "positive")
THRESHOLD = yaml.safe_load((Path(__file__).parents[1] / "dbt_project.yml").read_text())["vars"]["sentiment_threshold"]


def label(text: str) -> str:
    """As int_text_sentiments__scored has it; a text without a score is neutral here."""
    score = float(sentiment.text_score(text) or 0)
    return "positive" if score >= THRESHOLD else "negative" if score <= -THRESHOLD else "neutral"


def figures(pairs: Counter[tuple[str, str]]) -> dict[str, float]:
    """What (true label, told label) pairs amount to."""
    true = {name: sum(n for (first, _), n in pairs.items() if first == name) for name in LABELS}
    told = {name: sum(n for (_, second), n in pairs.items() if second == name) for name in LABELS}
    recalls = {name: pairs[name, name] / true[name] for name in LABELS}
    f1 = {name: 2 * pairs[name, name] / (true[name] + told[name]) for name in LABELS}
    variance = sum(recalls[name] * (1 - recalls[name]) / true[name] for name in LABELS) / 9
    return {
        "macro-recall": sum(recalls.values()) / 3,
        "+-": 1.96 * variance**0.5,
        **{f"recall {name}": recall for name, recall in recalls.items()},
        "accuracy": sum(pairs[name, name] for name in LABELS) / pairs.total(),
        "F1 of 3": sum(f1.values()) / 3,
        "F1 of 2": (f1["negative"] + f1["positive"]) / 2,
        "net": (told["positive"] - told["negative"]) / pairs.total(),
        "true net": (true["positive"] - true["negative"]) / pairs.total(),
    }


def main(files: list[str]) -> None:
    """Prints the figures of each file."""
    print(f"{sentiment.VERSION}, threshold {THRESHOLD}")
    sentiment.text_score("once, to read the lexicon")
    for file in files:
        lines = [line.split("\t", 1) for line in Path(file).read_text().split("\n") if line]
        started = time.monotonic()
        told = [label(text) for _, text in lines]
        seconds = time.monotonic() - started
        print(f"{file}: {len(lines):,} texts, {len(lines) / seconds:,.0f} texts/s")
        pairs = Counter((true, guess) for (true, _), guess in zip(lines, told, strict=True))
        print("  " + ", ".join(f"{name} {value:.3f}" for name, value in figures(pairs).items()))


if __name__ == "__main__":
    main(os.environ.get("FILES", "").split() or sys.exit(__doc__))
