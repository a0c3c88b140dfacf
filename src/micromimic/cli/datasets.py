"""`micromimic datasets index` and `list`, and `synth databases`: folders to a manifest and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic.cli.analyze import check_file, check_writable
from micromimic.cli.app import datasets, interruptible, synth
from micromimic.cli.console import note, say
from micromimic.core.errors import InputError

if TYPE_CHECKING:
    from micromimic.datasets.base import Note
    from micromimic.datasets.read import Indexed


# an unknown option is among the arguments: databases had options of their own once
@datasets.command("index", context_settings={"ignore_unknown_options": True})
@interruptible
def datasets_index(
    out: Annotated[Path, typer.Option(metavar="MANIFEST", help="The manifest to write.")],
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=DIR ...",
            show_default=False,
            help="Databases and where they are; `datasets list` names them.",
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
    run_index(named, out, corrections, tuple(labels or ("three",)))


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
    from micromimic.cli.progress import show_progress
    from micromimic.synthesis.databases.write import COMPOSITE, synth_databases as write_databases

    check_writable(out)
    with show_progress("synthetic databases") as progress:
        result = write_databases(
            out, names=tuple(names or COMPOSITE), clips_per_class=clips_per_class,
            seconds=seconds, seed=seed, full=full, jobs=jobs, progress=progress,
        )  # fmt: skip
    used = [(clip.dataset, clip.subject) for clip in result.clips if clip.label is not None]
    say(
        f"{len(used)} clips of {len(set(used))} subjects ({result.faces} faces), and "
        f"{len(result.clips) - len(used)} of classes that the composite leaves out, in {out}"
    )
    _tell_next(out, names or COMPOSITE)


def _tell_next(out: Path, names: Sequence[str]) -> None:
    """How to index databases: clips and long videos apart, and each person once."""
    from micromimic.datasets.databases import databases

    places: dict[str, dict[str, str]] = {"composite.csv": {}, "long.csv": {}}
    for name in names:
        each = databases()[name]
        same = places["long.csv" if each.long else "composite.csv"]
        same.setdefault(each.subject_name(1), f"{name}={out / name}")
    for manifest, found in places.items():
        if found:
            words = " ".join(found.values())
            say(f"next: micromimic datasets index {words} --out {out / manifest}")


def run_index(
    folders: Mapping[str, Path],
    out: Path,
    corrections: Path | None = None,
    labels: Sequence[str] = ("three",),
) -> None:
    """Write the manifest of the databases given and say what is in it, and what is not."""
    from micromimic.datasets.databases import databases
    from micromimic.datasets.events import events_path, write_events
    from micromimic.datasets.manifest import write_manifest
    from micromimic.datasets.read import index

    check_file(out)
    found = index(folders, corrections, labels)
    if not found.clips:
        first = "".join(f", first {left}" for left in found.left_out[:1])
        raise InputError(
            f"expected clips to list, got none that can be used ({len(found.left_out)} left out"
            f"{first}); check the folders and their annotation"
        )
    subjects = _many(len({clip.who for clip in found.clips}), "subject")
    if any(databases()[name].long for name in found.found):
        write_events(events_path(out), found.events)
        say(_events_table(found))
        events = f"{_many(len(found.events), 'event')} in {events_path(out)}"
        listed = f"{_many(len(found.clips), 'video')} of {subjects} in {out}, {events}"
    else:
        for line in _tables(found):
            say(line)
        listed = f"{_many(len(found.clips), 'clip')} of {subjects} in {out}"
    write_manifest(out, found.clips)
    for line in _report(found):
        say(line)
    say(f"\n{listed}")


def _tables(found: Indexed) -> Iterable[str]:
    """How many clips of each class each database has; the composite's as in its article."""
    from micromimic.core.labels import THREE
    from micromimic.datasets.databases.composite import TITLES, table1

    for labels in found.labels:
        names = [name for name, each in found.found.items() if each.clips]
        if labels == THREE and set(TITLES) & set(found.found):
            yield table1(found.clips, found.left_out)
            names = [name for name in names if name not in TITLES]
        rows = {}
        for name in names:
            clips = found.found[name].clips
            texts = [{"label": clip.label, **clip.extra}[labels.column] for clip in clips]
            people = {clip.who for clip, text in zip(clips, texts, strict=True) if text}
            counts = Counter(part for text in texts for part in text.split("+"))
            rows[name] = {"subjects": len(people), "clips": sum(map(bool, texts))}
            rows[name] |= {each: counts[each] for each in labels}
        if rows:
            yield _aligned(f"Clips by database, labels {labels.name}", rows)


def _events_table(found: Indexed) -> str:
    rows = {}
    for name, each in found.found.items():
        kinds = Counter(event.kind for event in each.events)
        busy = {event.key for event in each.events}
        rows[name] = {
            "subjects": len({video.subject for video in each.clips}),
            "videos": len(each.clips),
            "micro": kinds["micro"],
            "macro": kinds["macro"],
            "videos without": sum(video.key not in busy for video in each.clips),
        }
    return _aligned("Long videos and their events", rows)


def _aligned(title: str, rows: dict[str, dict[str, int]]) -> str:
    import pandas as pd

    return f"{title}\n{pd.DataFrame.from_dict(rows, orient='index').to_string()}"


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
    groups: dict[tuple[str, str], list[Note]] = {}
    for each in notes:
        groups.setdefault((each.dataset, each.text), []).append(each)
    for (dataset, text), same in groups.items():
        if len(same) == 1:
            yield f"  {same[0]}"
        else:
            names = ", ".join("/".join(filter(None, (n.subject, n.clip))) for n in same)
            yield f"  {dataset}: {text} ({len(same)}): {names}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
