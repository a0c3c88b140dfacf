"""`micromimic datasets index` and `list`, and `synth databases`: folders to a manifest and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic._cli.analyze import check_file
from micromimic._cli.app import datasets, interruptible, synth
from micromimic._cli.console import note, say
from micromimic.errors import InputError

if TYPE_CHECKING:
    from micromimic.datasets.base import Note
    from micromimic.datasets.clip import Clip
    from micromimic.datasets.read import Indexed
    from micromimic.labels import LabelSet


# an unknown option is among the arguments: databases had options of their own once
@datasets.command("index", context_settings={"ignore_unknown_options": True})
@interruptible
def datasets_index(
    out: Annotated[Path, typer.Option(metavar="MANIFEST", help="The manifest to write.")],
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=DIR ...",
            help="Databases and where they are; `datasets list` names them.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(metavar="SCHEME", help="three (default), five, ...; may be repeated."),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Further corrections by clip.", show_default=False),
    ] = None,
) -> None:
    """List the clips or long videos of databases, and print how many of each class there are."""
    named = _folders(folders or [])
    if not named:
        raise typer.BadParameter("expected a database as NAME=DIR, got none")
    raise typer.Exit(run_index(named, out, corrections, tuple(labels or ("three",))))


def _folders(words: Sequence[str]) -> dict[str, Path]:
    """Database to folder; ``--NAME DIR``, as versions before 3 had it, is taken and said."""
    from micromimic.datasets.databases import databases

    named: dict[str, Path] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        name, found, place = word.removeprefix("--").partition("=")
        if word.startswith("--"):
            if name not in databases():
                raise typer.BadParameter(f"No such option: --{name}")
            place = place if found or not left else left.pop(0)
            note(f"note: --{name} DIR is written {name}=DIR now, and will go")
        if not (name and place) or name in named:
            raise typer.BadParameter(f"expected each database once as NAME=DIR, got {word!r}")
        named[name] = Path(place)
    return named


@datasets.command("list")
@interruptible
def datasets_list() -> None:
    """Name the databases that can be read: layout, labels, and whom to ask for them."""
    from micromimic.datasets.databases import databases

    for each in databases().values():
        rate = f"{each.fps:g} frames/s" if each.fps else "frames/s vary"
        say(f"{each.name}: {each.title}, {'long videos' if each.long else 'clips'}, {rate}")
        schemes = "; ".join(f"{name} ({labels})" for name, labels in each.schemes.items())
        say(f"  labels: {schemes}\n  as {each.example}\n  {each.reference}; {each.licence}")


@synth.command("databases")
@interruptible
def synth_databases(
    out: Annotated[Path, typer.Option(help="Folder for a folder of each database.")],
    names: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of `datasets list`; may be repeated."),
    ] = None,
    clips_per_class: Annotated[
        int, typer.Option(min=1, help="Clips of each class in each database.")
    ] = 10,
    full: Annotated[
        bool, typer.Option("--full", help="As many clips as the composite has: 442.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=6.0, help="Length of long videos.")] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same databases.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
) -> None:
    """Make databases of synthetic micro-expressions in the layouts of the real ones."""
    from micromimic._cli.analyze import check_writable
    from micromimic._cli.progress import show_progress
    from micromimic.synthesis.databases import COMPOSITE, synth_databases as write_databases

    check_writable(out)
    with show_progress("synthetic databases") as progress:
        result = write_databases(
            out,
            names=tuple(names or COMPOSITE),
            clips_per_class=clips_per_class,
            seconds=seconds,
            seed=seed,
            full=full,
            jobs=jobs,
            progress=progress,
        )
    used = [clip for clip in result.clips if clip.label is not None]
    people = len({(clip.dataset, clip.subject) for clip in used})
    say(
        f"{len(used)} clips of {people} subjects ({result.faces} faces), and "
        f"{len(result.clips) - len(used)} of classes that the composite leaves out, in {out}"
    )
    places = " ".join(f"{name}={out / name}" for name in dict.fromkeys(names or COMPOSITE))
    say(f"next: micromimic datasets index {places} --out {out / 'composite.csv'}")


def run_index(
    folders: Mapping[str, Path],
    out: Path,
    corrections: Path | None = None,
    labels: Sequence[str] = ("three",),
) -> int:
    """Write the manifest of the databases given and say what is in it, and what is not.

    Returns:
        The exit code: 0 also where some clips were left out, since each is listed.

    Raises:
        InputError: if no folder is given, one is not its database, or nothing usable is found.
        LabelError: if a database has no such labels.
        OutputError: if the manifest cannot be written.
    """
    from micromimic.datasets.databases import databases
    from micromimic.datasets.databases.composite import TITLES, table1
    from micromimic.datasets.events import events_path, write_events
    from micromimic.datasets.manifest import write_manifest
    from micromimic.datasets.read import index
    from micromimic.labels import THREE

    check_file(out)
    found = index(folders, corrections, labels)
    if not found.clips:
        first = next(iter(found.left_out), None)
        raise InputError(
            f"expected clips to list, got none that can be used ({len(found.left_out)} left out"
            + (f", first {first})" if first else ")")
            + "; check the folders and their annotation"
        )
    long = any(databases()[name].long for name in found.found)
    if long:
        write_events(events_path(out), found.events)
        say(_events_table(found))
    write_manifest(out, found.clips)
    for labelled in () if long else found.labels:
        rest = list(found.clips)
        if labelled == THREE and set(TITLES) & set(found.found):
            say(table1(found.clips, found.left_out))
            rest = [clip for clip in found.clips if clip.dataset not in TITLES]
        if rest:
            say(_table(rest, labelled))
    for line in _report(found):
        say(line)
    subjects = len({clip.who for clip in found.clips})
    noun = "video" if long else "clip"
    beside = f", {_many(len(found.events), 'event')} in {events_path(out)}" if long else ""
    say(f"\n{_many(len(found.clips), noun)} of {_many(subjects, 'subject')} in {out}{beside}")
    return 0


def _table(clips: Sequence[Clip], labels: LabelSet) -> str:
    """How many clips of each class each database has."""
    rows = [["", "subjects", "clips", *labels]]
    for name in dict.fromkeys(clip.dataset for clip in clips):
        told = {
            clip.key: clip.label if labels.column == "label" else clip.extra[labels.column]
            for clip in clips
            if clip.dataset == name
        }
        there = [key for key, label in told.items() if label]
        counts = Counter(part for label in told.values() for part in label.split("+"))
        people = len({key.rsplit("/", 1)[0] for key in there})
        rows.append([name, str(people), str(len(there)), *(str(counts[each]) for each in labels)])
    return _aligned(f"Clips by database, labels {labels.name}", rows)


def _events_table(found: Indexed) -> str:
    rows = [["", "subjects", "videos", "micro", "macro", "videos without"]]
    for name, each in found.found.items():
        kinds = Counter(event.kind for event in each.events)
        busy = {event.key for event in each.events}
        numbers = (
            len({video.subject for video in each.clips}), len(each.clips), kinds["micro"],
            kinds["macro"], sum(video.key not in busy for video in each.clips),
        )  # fmt: skip
        rows.append([name, *map(str, numbers)])
    return _aligned("Long videos and their events", rows)


def _aligned(title: str, rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    lines = [title]
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append(row[0].ljust(widths[0]) + "".join(cells))
    return "\n".join(lines)


def _report(found: Indexed) -> Iterable[str]:
    """Everything that is not in the manifest, or not as it was annotated."""
    for dataset, emotions in found.dropped.items():
        counts = ", ".join(f"{emotion} {count}" for emotion, count in sorted(emotions.items()))
        yield f"\n{dataset}: {_many(sum(emotions.values()), 'clip')} of classes not used: {counts}"
    if found.left_out:
        yield f"\nLeft out: {_many(len(found.left_out), 'event' if found.events else 'clip')}"
        yield from _by_text(found.left_out)
    if found.notes:
        yield "\nNotes on what is in the manifest"
        yield from _by_text(found.notes)


def _by_text(notes: Sequence[Note]) -> Iterable[str]:
    """One line for each text and database, with all the clips that it is said of."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in notes:
        name = "/".join(filter(None, (each.subject, each.clip)))
        groups.setdefault((each.dataset, each.text), []).append(name)
    for (dataset, text), names in groups.items():
        if len(names) == 1:
            yield f"  {'/'.join(filter(None, (dataset, names[0])))}: {text}"
        else:
            yield f"  {dataset}: {text} ({len(names)}): {', '.join(names)}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
