"""What a result cannot tell: the same words in every file that a person may read."""

from __future__ import annotations

from typing import Final

Statements = tuple[tuple[str, str], ...]
_NUMBERS: Final = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
_STATEMENTS: Final[Statements] = (
    (
        "Candidates, not verdicts",
        "Each event is a brief facial movement that stands out from this person's own noise; "
        "chance makes some of them. A trained coder confirms or discards it with the pictures "
        "beside it.",
    ),
    (
        "A movement is not a feeling",
        "The class says which of {groups} groups of movements the event resembles most. Whether "
        "the person felt that, and why, is not in the picture.",
    ),
    (
        "Not a lie detector, no stress score",
        "No measure here shows deception, stress or character. What is reported is change within "
        "one person.",
    ),
    (
        "What is missing was not ruled out",
        "Nothing is found while the face is lost or, about brows and lids, during a blink. Beside "
        "speech, turns of the head and unsteady light only larger movements stand out, and small "
        "or very short ones are missed everywhere.",
    ),
    (
        "Where this must not be used",
        "Article 5(1)(f) of the EU AI Act (Regulation (EU) 2024/1689) prohibits inferring "
        "emotions of people at work and in education, other than for medical or safety reasons.",
    ),
)


def cannot_tell(classes: int) -> Statements:
    """(heading, sentence) pairs on a model of so many classes; in the report and the indicators."""
    word = _NUMBERS[classes - 2] if 0 <= classes - 2 < len(_NUMBERS) else str(classes)
    return tuple((heading, text.format(groups=word)) for heading, text in _STATEMENTS)
