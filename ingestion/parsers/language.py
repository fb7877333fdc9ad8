"""The language of a text: py3langid, a naive Bayes classifier of byte sequences."""

from py3langid.langid import MODEL_FILE, LanguageIdentifier

LETTERS = 40
"""That a text must have; a shorter one may be anything."""

PROBABILITY = 0.5
"""That a language must have."""

LENGTH = 5_000
"""Characters of a text that are looked at."""

# At once: py3langid unpacks its model into a file, and a child that parses may not write.
_IDENTIFIER = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language(text: str) -> str | None:
    """The language of a text (ISO 639), by its beginning; None where that can't be told."""
    text = text[:LENGTH]
    if sum(map(str.isalpha, text)) < LETTERS:
        return None
    name, probability = _IDENTIFIER.classify(text)
    return name if probability >= PROBABILITY and name != "zxx" else None  # zxx: of no language
