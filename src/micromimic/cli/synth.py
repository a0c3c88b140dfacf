"""The command that makes clips with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from micromimic.cli.app import above_zero, interruptible, synth
from micromimic.cli.console import say

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
Blinks = Annotated[
    float | None,
    typer.Option(min=0, help="A minute; the kind's own if left out.", show_default=False),
]
Macros = Annotated[
    float | None,
    typer.Option(
        min=0, help="Longer expressions a minute; the kind's own if left out.", show_default=False
    ),
]
Crf = Annotated[
    int | None,
    typer.Option(
        min=1, max=51, help="Compress (18 is good); lossless if left out.", show_default=False
    ),
]
Peak = Annotated[
    float, typer.Option(callback=above_zero, help="Largest movement at the apex, in pixels.")
]


@synth.command("clips")
@interruptible
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
    from micromimic.cli.analyze import check_writable
    from micromimic.cli.progress import show_progress
    from micromimic.synthesis.write import clip_options, synth_clips as write_clips

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
    say(f"{count} clip{'' if count == 1 else 's'} and truth.json in {out}")
