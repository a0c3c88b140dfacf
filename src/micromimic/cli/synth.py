"""`micromimic synth`: clips and databases with known truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from micromimic.cli.console import count_of, say
from micromimic.cli.options import above_zero, unset
from micromimic.cli.outputs import check_writable
from micromimic.cli.progress import show_progress

Kind = Annotated[
    str,
    typer.Option(
        metavar="mixed|neutral|speaking|blinking|macro",
        help="What the clips are about; all but mixed hold no micro-expression.",
    ),
]
ActorName = Annotated[
    str,
    typer.Option(
        metavar="photo|mesh",
        help="The photographed face, or another rendered head in each clip (faces3d extra).",
    ),
]
Blinks = Annotated[float | None, unset("A minute; the kind's own if left out.", min=0)]
Macros = Annotated[
    float | None, unset("Longer expressions a minute; the kind's own if left out.", min=0)
]
Crf = Annotated[int | None, unset("Compress (18 is good); lossless if left out.", min=1, max=51)]
Peak = Annotated[
    float, typer.Option(callback=above_zero, help="Largest movement at the apex, in pixels.")
]


def synth_clips(
    out: Annotated[Path, typer.Option(help="Folder for the videos and truth.json.")],
    count: Annotated[int, typer.Option(min=1, help="How many clips.")] = 3,
    seconds: Annotated[float, typer.Option(callback=above_zero, help="Length of each.")] = 20.0,
    fps: Annotated[float, typer.Option(callback=above_zero, help="Frames a second.")] = 200.0,
    peak: Peak = 1.5,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same clips.")] = 0,
    kind: Kind = "mixed",
    actor: ActorName = "photo",
    blinks: Blinks = None,
    macros: Macros = None,
    colour: Annotated[bool, typer.Option("--colour", help="Colour instead of grey.")] = False,
    crf: Crf = None,
    truth: Annotated[
        bool,
        typer.Option("--truth", help="Also write landmarks, poses and flow: one .npz a clip."),
    ] = False,
) -> None:
    """Make videos of a face with planted micro-expressions, and the truth about them."""
    from micromimic.synthesis.clips import clip_options, synth_clips as write_clips

    options = clip_options(
        kind=kind, actor=actor, blinks=blinks, macros=macros, colour=colour, crf=crf, arrays=truth
    )
    check_writable(out)
    with show_progress("synthetic clips") as progress:
        write_clips(
            out,
            count=count,
            seconds=seconds,
            fps=fps,
            peak=peak,
            seed=seed,
            progress=progress,
            options=options,
        )
    say(f"{count_of(count, 'clip')} and truth.json in {out}")


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
    say_next(out, names or COMPOSITE)


def say_next(out: Path, names: Sequence[str]) -> None:
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
