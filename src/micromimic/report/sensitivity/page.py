"""The page of injection and recovery: what would have been found in this recording."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic import __version__
from micromimic.core.labels import REGIONS, THREE
from micromimic.core.strict_json import printable
from micromimic.evaluation.recovery import (
    AT_LIMIT,
    MIN_IOU,
    NEAR_APEX_S,
    RATIO_EDGES,
    Recovery,
    Share,
    Trial,
    calibration,
    classes_of,
    half_size,
    rising_shares,
    share_of,
)
from micromimic.report.html import head
from micromimic.report.sections import brand, short_duration, text, warning_list

LIMITS: Final = (
    (
        "Planted movements are not people's",
        "Each is one smooth rise and fall of single action units, of .2 to .45 s, on a face that "
        "goes on doing what it did. A real one may be slower, sharper, or part of something else.",
    ),
    (
        "Planted after the camera",
        "The warp moves decoded pictures: a camera's blur and a codec would have weakened a real "
        "movement of the same size, most where the recording is strongly compressed. Take the "
        "shares as what is found at best.",
    ),
    (
        "Candidates, not verdicts",
        "A movement that is found again is one that the software points to. Whether it means "
        "anything is a trained coder's to say.",
    ),
    (
        "Nothing about this person",
        "The shares describe the recording and the software. They say how much to make of "
        "finding nothing, not what the person felt.",
    ),
    (
        "One movement every 2.5 s",
        "So many movements are themselves part of what the noise is measured from; in the "
        "recording as it is, a single one may stand out a little more.",
    ),
    (
        "Small numbers",
        "Intervals are exact, 95 %. Where a region has few movements they are wide: plant more "
        "with --per-size.",
    ),
)
"""(heading, sentence) pairs."""


def sensitivity_html(recovery: Recovery) -> str:
    """The whole page as text; it needs no script and no network."""
    name = text(PurePath(printable(recovery.source.path)).name)
    body = "".join(
        (
            brand(),
            warning_list(recovery.warnings),
            _top(recovery, name),
            _curve(recovery),
            _parts(recovery, "By part of the face", "regions", REGIONS, lambda t: t.region),
            _parts(recovery, "By class", "classes", THREE.names, lambda t: t.label),
            _classes(recovery),
            _control(recovery),
            _limits(recovery),
            _cannot_tell(),
            _foot(recovery),
        )
    )
    title = f"{name}: what would have been found"
    return f"{head(title, 'sensitivity.css')}<body><main>{body}</main></body></html>\n"


def _percent(share: Share) -> str:
    return "–" if not share.planted else f"{100 * share.value:.0f}&nbsp;%"


def _size(recovery: Recovery, size: float) -> str:
    """A size in both units.

    Args:
        recovery: has the scale.
        size: canonical units.
    """
    return f"{size:.2g} units ({size * recovery.scale:.2g} px)"


def answer(recovery: Recovery) -> str:
    """What the run says, in one sentence."""
    shares = [share_of(recovery.at(size)).value for size in recovery.sizes]
    half = half_size(recovery.sizes, shares)
    if half is not None:
        return f"Half of the planted movements are found from about {_size(recovery, half)} on."
    low, high = min(recovery.sizes), max(recovery.sizes)
    if rising_shares(shares)[0] >= 0.5:
        return f"At least half are found even at the smallest size, {_size(recovery, low)}."
    return f"Fewer than half are found even at the largest size, {_size(recovery, high)}."


def _top(recovery: Recovery, name: str) -> str:
    source = recovery.source
    facts = (
        f"{short_duration(source.duration_s)}",
        f"{source.width} × {source.height}, {source.fps:.4g} frames/s",
        f"{recovery.eyes_px:.3g} px between the eyes",
        f"{len(recovery.at(recovery.sizes[0]))} movements a size, "
        f"{recovery.copies} {'copy' if recovery.copies == 1 else 'copies'} of the recording",
    )
    items = "".join(f"<li>{text(fact)}</li>" for fact in facts)
    return (
        f'<header class="top"><h1>What would have been found in {name}?</h1>'
        f'<ul class="facts">{items}</ul><p class="lead">{text(answer(recovery))} '
        "Movements of known size were planted in copies of this recording, and the whole analysis "
        "looked for them.</p></header>"
    )


def _place(recovery: Recovery, size: float) -> float:
    """Where a size lies on the axis, 0 to 100, on a scale of logarithms."""
    low, high = math.log(min(recovery.sizes)), math.log(max(recovery.sizes))
    return 50.0 if high == low else 8 + 84 * (math.log(size) - low) / (high - low)


def _axes(
    recovery: Recovery, shares: Sequence[Share], *, chance: Share | None = None, full: bool = False
) -> str:
    """Share found by size, with its intervals, as HTML: an SVG that stretches, text beside it."""
    known = [(size, share) for size, share in zip(recovery.sizes, shares, strict=True)]
    known = [(size, share) for size, share in known if share.planted]
    lines = "".join(
        f'<line class="{"half" if level == 50 else "grid"}" x1="0" x2="100" y1="{level}" '
        f'y2="{level}"/>'
        for level in (0, 25, 50, 75, 100)
    )
    if chance is not None:
        y = 100 * (1 - chance.value)
        lines += f'<line class="chance" x1="0" x2="100" y1="{y:.2f}" y2="{y:.2f}"/>'
    points, marks, path = "", "", []
    for size, share in known:
        x, y = _place(recovery, size), 100 * (1 - share.value)
        low, high = share.interval
        marks += (
            f'<line class="range" x1="{x:.2f}" x2="{x:.2f}" y1="{100 * (1 - high):.2f}" '
            f'y2="{100 * (1 - low):.2f}"/>'
        )
        path.append(f"{x:.2f} {y:.2f}")
        points += f'<i style="left:{x:.2f}%;top:{y:.2f}%"></i>'
    curve = f'<path class="line" d="M{" L".join(path)}"/>' if path else ""
    levels = (0, 25, 50, 75, 100) if full else (0, 50, 100)
    ticks = "".join(
        f'<span class="up" style="top:{100 - level}%">{level}&nbsp;%</span>' for level in levels
    )
    for size, share in zip(recovery.sizes, shares, strict=True):
        below = (
            f"<br>{size * recovery.scale:.2g} px<br>{share.found} of {share.planted}"
            if full
            else ""
        )
        ticks += (
            f'<span class="over" style="left:{_place(recovery, size):.2f}%"><b>{size:g}'
            f"{' units' if full else ''}</b>{below}</span>"
        )
    note = ""
    if chance is not None:
        note = (
            f'<span class="note" style="top:{100 * (1 - chance.value):.2f}%">size 0: '
            f"{chance.found} of {chance.planted}</span>"
        )
    told = "; ".join(f"{size:g} units: {s.found} of {s.planted}" for size, s in known)
    return (
        f'<div class="axes" role="img" aria-label="Share found by size: {told}"><svg '
        f'viewBox="0 0 100 100" preserveAspectRatio="none">{lines}{marks}{curve}</svg>'
        f"{points}{ticks}{note}</div>"
    )


def _curve(recovery: Recovery) -> str:
    shares = [share_of(recovery.at(size)) for size in recovery.sizes]
    return (
        '<section class="panel" aria-labelledby="curve-title"><h2 id="curve-title">Found again, by '
        'size</h2><p class="hint">Share of the planted movements that the analysis reports; bars '
        "are exact 95 % intervals. Size is the largest displacement of the skin: 15 units lie "
        "between the eyes, and published maps of real micro-expressions peak at .14 to .42 units. "
        "Dotted: what is found at the same moments when nothing is planted.</p>"
        f"{_axes(recovery, shares, chance=recovery.chance(), full=True)}</section>"
    )


def _grouped(
    recovery: Recovery, names: Sequence[str], key: Callable[[Trial], str]
) -> dict[str, list[Share]]:
    """By name, the shares at each size; names of which nothing was planted are left out."""
    shares = {
        name: [
            share_of(trial for trial in recovery.at(size) if key(trial) == name)
            for size in recovery.sizes
        ]
        for name in names
    }
    return {name: row for name, row in shares.items() if row[0].planted}


def _parts(
    recovery: Recovery,
    title: str,
    ident: str,
    names: Sequence[str],
    key: Callable[[Trial], str],
) -> str:
    groups = _grouped(recovery, names, key)
    charts = "".join(
        f"<div><h3>{text(name)}<small>{row[0].planted} a size</small></h3>"
        f"{_axes(recovery, row)}</div>"
        for name, row in groups.items()
    )
    three = " three" if len(names) == 3 else ""
    return (
        f'<section class="panel" aria-labelledby="{ident}-title"><h2 id="{ident}-title">{title}'
        f'</h2><div class="parts{three}">{charts}</div><details><summary>Numbers</summary>'
        f"{_table(recovery, groups)}</details></section>"
    )


def _table(recovery: Recovery, groups: Mapping[str, Sequence[Share]]) -> str:
    heads = "".join(f'<th scope="col">{size:g}<small>units</small></th>' for size in recovery.sizes)
    rows = "".join(
        f'<tr><td class="word">{text(name)}</td>'
        + "".join(f"<td>{_cell(share)}</td>" for share in row)
        + "</tr>"
        for name, row in groups.items()
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr><th scope="col"></th>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(share: Share) -> str:
    low, high = share.interval
    return (
        f"{share.found} of {share.planted} <small>{_percent(share)}, {100 * low:.0f} to "
        f"{100 * high:.0f}</small>"
    )


def named(recovery: Recovery, size: float) -> tuple[NDArray[np.int64], float | None]:
    """What the found movements of a size are called.

    Args:
        recovery: what came back.
        size: one of its sizes.

    Returns:
        (3, n) counts: planted classes against the model's; UF1, None where nothing was found or the
        model has other classes than are planted.
    """
    labels = recovery.model.labels
    if labels == THREE.names:
        return classes_of(recovery.at(size))
    counts = np.zeros((len(THREE), len(labels)), np.int64)
    for trial in recovery.at(size):
        if trial.found is not None:
            counts[THREE.index(trial.label), labels.index(trial.found.label)] += 1
    return counts, None


def _classes(recovery: Recovery) -> str:
    tables, labels = "", recovery.model.labels
    for size in recovery.sizes:
        counts, score = named(recovery, size)
        if not counts.any():
            continue
        heads = "".join(f'<th scope="col">{text(name)}</th>' for name in labels)
        rows = "".join(
            f'<tr><td class="word">{name}</td>'
            + "".join(
                f'<td class="{"right" if name == other else ""}">{count}</td>'
                for other, count in zip(labels, counts[i], strict=True)
            )
            + "</tr>"
            for i, name in enumerate(THREE)
        )
        uf1 = "" if score is None else f": UF1 {score:.2f}"
        tables += (
            f"<div><h3>{_size(recovery, size)}{uf1}</h3><table><thead><tr>"
            f'<th scope="col">planted</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        )
    if not tables:
        tables = '<p class="hint">Nothing was found again, so no class was named.</p>'
    return (
        '<section class="panel" aria-labelledby="named-title"><h2 id="named-title">Which class the '
        'found ones get</h2><p class="hint">Rows: what was planted; columns: what the analysis '
        f'calls it. Movements that were not found count nowhere here.</p><div class="matrices">'
        f"{tables}</div></section>"
    )


def _control(recovery: Recovery) -> str:
    chance, count = recovery.chance(), len(recovery.plain)
    minutes = recovery.source.duration_s / 60
    low, high = recovery.plain_per_minute
    noun = "candidate" if count == 1 else "candidates"
    real = " Some may be real; as false ones they are an upper bound." if count else ""
    rows = "".join(
        f"<tr><td>{size:g}</td><td>{recovery.others[size]}</td>"
        f"<td>{recovery.others[size] / (recovery.copies * minutes):.1f}</td></tr>"
        for size in recovery.sizes
    )
    return (
        '<section class="panel" aria-labelledby="control-title"><h2 id="control-title">Controls'
        f"</h2><p>The recording as it is gives {count or 'no'} {noun}: {count / minutes:.1f} a "
        f"minute (95 %: {low:.1f} to {high:.1f}).{real}</p><p>At the planted moments, with "
        f"movements of size zero, {chance.found} of {chance.planted} are found: so "
        "much of each curve is chance. A movement of size zero leaves every picture as it "
        "is, so this is the unplanted analysis, counted at those "
        "moments.</p><h3>Candidates that are neither planted nor there before</h3><div "
        'class="scroll"><table><thead><tr><th scope="col">Size<small>units</small></th>'
        '<th scope="col">Count<small>all copies</small></th><th scope="col">Rate<small>a minute'
        f"</small></th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _limits(recovery: Recovery) -> str:
    """How well the analysis's own detection limit predicts what came back."""
    if not recovery.limited:
        return ""
    names = [
        f"below {RATIO_EDGES[1]:g}, or no limit",
        *(f"{low:g} to {high:g}" for low, high in pairwise(RATIO_EDGES[1:-1])),
        f"above {RATIO_EDGES[-2]:g}",
    ]
    sized = [calibration(recovery.at(size)) for size in recovery.sizes]
    groups = {
        name: [*(shares[k] for shares in sized), share]
        for k, (name, share) in enumerate(zip(names, calibration(recovery.trials), strict=True))
    }
    heads = "".join(f'<th scope="col">{size:g}<small>units</small></th>' for size in recovery.sizes)
    rows = "".join(
        f'<tr><td class="word">{name}</td>'
        + "".join(f"<td>{_cell(share) if share.planted else '–'}</td>" for share in row)
        + "</tr>"
        for name, row in groups.items()
    )
    here = groups[names[AT_LIMIT]][-1]
    return (
        '<section class="panel" aria-labelledby="limit-title"><h2 id="limit-title">Does the '
        "detection limit hold?</h2><p>At every moment and for every part of the face the analysis "
        "says how large a movement would have to be to be found half the time. Where it named "
        f"about the planted size, {here.found} of {here.planted} were found ({_percent(here)}; "
        "50&nbsp;% would be right).</p>"
        '<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">Size over limit</th>'
        f'{heads}<th scope="col">All</th></tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _cannot_tell() -> str:
    items = "".join(f"<div><h3>{title}</h3><p>{sentence}</p></div>" for title, sentence in LIMITS)
    return (
        '<section class="panel limits" aria-labelledby="tell-title"><h2 id="tell-title">What this '
        f'page cannot tell</h2><div class="columns">{items}</div></section>'
    )


def _foot(recovery: Recovery) -> str:
    model = recovery.model
    rows = (
        ("Source", recovery.source.path),
        ("Model", f"{model.name} {model.version}, trained on {model.trained_on}"),
        (
            "Found",
            f"overlap of {100 * MIN_IOU:.0f} % of the union, or apexes within {NEAR_APEX_S:g} s",
        ),
        ("Planted", f"smooth fields of action units, seed {recovery.seed}; nothing was encoded"),
        ("Made by", f"micromimic {__version__}"),
        ("Beside this page", "sensitivity.json, sensitivity.csv (a row a planted movement)"),
    )
    items = "".join(f"<dt>{name}</dt><dd>{text(value)}</dd>" for name, value in rows)
    return f'<footer class="provenance"><dl>{items}</dl></footer>'
