"""`micromimic datasets`: folders of databases to a manifest, prepared clips, and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import count_of, note, say
from micromimic.cli.options import unset
from micromimic.cli.outputs import check_file, check_writable
from micromimic.cli.progress import show_progress
from micromimic.core.errors import InputError

if TYPE_CHECKING:
    from micromimic.datasets.base import Note
    from micromimic.datasets.read import Indexed


def datasets_prepare(
    manifest: options.Manifest,
    cache: options.Cache = None,
    jobs: options.Jobs = 1,
    backend: options.BackendName = "loky",
    scheduler: options.Scheduler = None,
    apex: options.ApexRule = "annotated",
    preset: options.Preset = None,
) -> None:
    """Find the apex, crop the face and measure the motion of every clip; kept for later runs."""
    from micromimic.core.workers import on_workers
    from micromimic.datasets.manifest import manifest_clips
    from micromimic.evaluation.evaluate import cache_of
    from micromimic.preparation.cache import prepare_all, prepared_summary
    from micromimic.preparation.clip import VIEWS

    workers = options.workers_of(jobs, backend, scheduler)
    config = options.preparation(apex, preset)
    clips = manifest_clips(manifest, labelled=True)
    place = cache or cache_of(manifest)
    check_writable(place)
    views = set.intersection(*(set(VIEWS[clip.kind]) for clip in clips))
    with show_progress("preparation", unit="clips") as progress, on_workers(workers):
        failures = prepare_all(clips, views, place, config=config, progress=progress)
    for failure in failures:
        note(f"left out: {failure.clip.key}: {failure.reason}")
    say(prepared_summary(clips, failures, place, config))
    raise typer.Exit(1 if failures else 0)


def datasets_figures(
    manifest: options.Manifest,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    clip: Annotated[
        str | None, unset("As DATABASE/SUBJECT/CLIP; the first if left out.", metavar="NAME")
    ] = None,
) -> None:
    """Draw the article's figures 2, 3 and 4 of one clip: cells, motion curve, steps."""
    from micromimic.evaluation.report.clips import clip_figures

    check_writable(out)
    for file in clip_figures(manifest, out, clip):
        say(str(file))


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
        Path | None, unset("Further corrections by clip.", metavar="CSV")
    ] = None,
) -> None:
    """List the clips or long videos of databases, and print how many of each class there are."""
    from micromimic.datasets.databases import databases
    from micromimic.datasets.events import events_path, write_events
    from micromimic.datasets.manifest import write_manifest
    from micromimic.datasets.read import index

    named = _folders(folders or [])
    if not named:
        raise typer.BadParameter("expected a database as NAME=DIR, got none")
    check_file(out)
    found = index(named, corrections, tuple(labels or ("three",)))
    if not found.clips:
        first = "".join(f", first {left}" for left in found.left_out[:1])
        raise InputError(
            f"expected clips to list, got none that can be used ({len(found.left_out)} left out"
            f"{first}); check the folders and their annotation"
        )
    subjects = count_of(len({clip.who for clip in found.clips}), "subject")
    if any(databases()[name].long for name in found.found):
        write_events(events_path(out), found.events)
        say(_events_table(found))
        events = f"{count_of(len(found.events), 'event')} in {events_path(out)}"
        listed = f"{count_of(len(found.clips), 'video')} of {subjects} in {out}, {events}"
    else:
        for table in _class_tables(found):
            say(table)
        listed = f"{count_of(len(found.clips), 'clip')} of {subjects} in {out}"
    write_manifest(out, found.clips)
    for line in _not_listed(found):
        say(line)
    say(f"\n{listed}")


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


def datasets_list() -> None:
    """Name the databases that can be read: layout, labels, and whom to ask for them."""
    from micromimic.datasets.databases import databases

    for each in databases().values():
        rate = f"{each.fps:g} frames/s" if each.fps else "frames/s vary"
        say(f"{each.name}: {each.title}, {'long videos' if each.long else 'clips'}, {rate}")
        schemes = "; ".join(f"{name} ({labels})" for name, labels in each.schemes.items())
        say(f"  labels: {schemes}\n  as {each.example}\n  {each.reference}; {each.licence}")


def _class_tables(found: Indexed) -> Iterable[str]:
    """How many clips of each class each database has; the composite's as in its article."""
    from micromimic.core.labels import THREE
    from micromimic.datasets.megc2019 import TITLES, table1

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


def _not_listed(found: Indexed) -> Iterable[str]:
    """Everything that is not in the manifest, or not as it was annotated."""
    for dataset, emotions in found.dropped.items():
        counts = ", ".join(f"{emotion} {count}" for emotion, count in sorted(emotions.items()))
        clips = count_of(sum(emotions.values()), "clip")
        yield f"\n{dataset}: {clips} of classes not used: {counts}"
    if found.left_out:
        yield f"\nLeft out: {count_of(len(found.left_out), 'event' if found.events else 'clip')}"
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
