"""`micromimic datasets index`: from the raw folders to the manifest and the article's table 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from micromimic._cli.analyze import check_file
from micromimic._cli.console import say
from micromimic.errors import InputError

if TYPE_CHECKING:
    from micromimic.datasets.base import LeftOut, Note
    from micromimic.datasets.composite import Composite


def run_index(
    smic: Path | None,
    casme2: Path | None,
    samm: Path | None,
    out: Path,
    corrections: Path | None = None,
) -> int:
    """Write the manifest of the databases given and say what is in it, and what is not.

    Returns:
        The exit code: 0 also where some clips were left out, since each is listed.

    Raises:
        InputError: if no folder is given, one is not its database, or nothing usable is found.
        OutputError: if the manifest cannot be written.
    """
    from micromimic.datasets.composite import composite, table1
    from micromimic.datasets.manifest import write_manifest

    check_file(out)
    found = composite(smic, casme2, samm, corrections)
    if not found.clips:
        first = next(iter(found.left_out), None)
        raise InputError(
            f"expected clips to list, got none that can be used ({len(found.left_out)} left out"
            + (f", first {first})" if first else ")")
            + "; check the folders and their annotation"
        )
    write_manifest(out, found.clips)
    say(table1(found.clips, found.left_out))
    for line in _report(found):
        say(line)
    subjects = len({clip.who for clip in found.clips})
    say(f"\n{_many(len(found.clips), 'clip')} of {_many(subjects, 'subject')} in {out}")
    return 0


def _report(found: Composite) -> Iterable[str]:
    """Everything that is not in the manifest, or not as it was annotated."""
    for dataset, emotions in found.dropped.items():
        counts = ", ".join(f"{emotion} {count}" for emotion, count in sorted(emotions.items()))
        yield f"\n{dataset}: {_many(sum(emotions.values()), 'clip')} of classes not used: {counts}"
    if found.left_out:
        yield f"\nLeft out: {_many(len(found.left_out), 'clip')}"
        yield from _by_text([(left.reason, left) for left in found.left_out])
    if found.notes:
        yield "\nNotes on what is in the manifest"
        yield from _by_text([(note.text, note) for note in found.notes])


def _by_text(items: Sequence[tuple[str, LeftOut | Note]]) -> Iterable[str]:
    """One line for each text and database, with all the clips that it is said of."""
    groups: dict[tuple[str, str], list[str]] = {}
    for text, item in items:
        name = "/".join(filter(None, (item.subject, item.clip)))
        groups.setdefault((item.dataset, text), []).append(name)
    for (dataset, text), names in groups.items():
        if len(names) == 1:
            yield f"  {'/'.join(filter(None, (dataset, names[0])))}: {text}"
        else:
            yield f"  {dataset}: {text} ({len(names)}): {', '.join(names)}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
