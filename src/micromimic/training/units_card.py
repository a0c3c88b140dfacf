"""The card of the model of action units: what it is, how it was made, how well it tells them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from micromimic.models.action_units import NEVER, UnitCalibration
from micromimic.training.units_fit import SIDED, TOLD, UnitTrainConfig
from micromimic.training.units_score import (
    HIGHEST,
    LOWEST,
    WORTH_TELLING,
    Asked,
    UnitFigures,
    calibration_gap,
    score_units,
)


def units_card(
    config: UnitTrainConfig,
    version: str,
    calibration: UnitCalibration,
    across: Asked,
    own: Mapping[str, Asked],
) -> str:
    """The whole card, Markdown.

    Args:
        config, version, calibration: of the model.
        across: what networks said about faces of a source that they were not trained on.
        own: what the finished network said about new maps of the sources that it was trained on.
    """
    sets = {"other faces": across, **own}
    figures = {name: score_units(asked, calibration) for name, asked in sets.items()}
    gaps = {
        name: calibration_gap(calibration.probabilities(asked.said.presence), asked.truth.presence)
        for name, asked in sets.items()
    }
    parts = (
        _what(config, version),
        _sets(figures, gaps, sets),
        units_table(figures["other faces"], calibration),
        _LIMITS,
    )
    return "\n\n".join(parts) + "\n"


def _what(config: UnitTrainConfig, version: str) -> str:
    return f"""# flow-units {version}

Tells which facial action units (FACS) the movement between the onset and the apex of a
micro-expression looks like:
{", ".join(TOLD)};
and on which side, for
{", ".join(SIDED)}.
Two convolutions and a hidden layer on a 28 x 28 map of optical flow (u, v, strain) in the
canonical face, with three answers: whether a unit acts, on which side, and its part of the
movement. The answer is the mean over the map and its mirror image. It is evidence beside the
class, and does not enter it.

## Training data

{config.maps} synthetic motion maps in three equal classes, drawn as for flow-capsnet
(`micromimic.synthesis.maps`), and nothing else; in {config.harder_share:.0%} of them the nuisances
are stronger. No picture or video of a person and no real flow map was used for training or
calibration.

## Made by

```
python -m micromimic.training.units --out flow-units.onnx --seed {config.seed} \\
  --maps {config.maps} --epochs {config.epochs} --validation {config.validation}
```

Every random number follows from the seed; on one machine the file is the same to the byte.

## Probabilities

A logistic curve for each unit, and the threshold with the best F1, within {LOWEST} and {HIGHEST}.
Both were set across faces: networks trained on one of the two sources of synthetic faces were asked
about maps of the other source, half of them with the stronger nuisances. A unit whose F1 there
is below {WORTH_TELLING} is never told. Sides count a movement of one side
{config.one_sided_weight:g} times in training, since most are of both."""


def _sets(
    figures: Mapping[str, UnitFigures], gaps: Mapping[str, float], sets: Mapping[str, Asked]
) -> str:
    lines = [
        "## Synthetic truth",
        "",
        "*Other faces*: networks trained on one source of faces, asked about the other, maps that",
        "calibration did not see; half of them harder. *Plain*, *harder*: this file on new maps of",
        "both sources. *Sides* is the share of right sides; *balanced* its mean over both, left",
        "and right.",
        "",
        "| maps | n | micro F1 | macro F1 | macro AUC | sides | balanced | calibration error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {len(sets[name].truth.presence)} | {f.micro_f1:.3f} | {f.macro_f1:.3f} "
        f"| {f.macro_auc:.3f} | {f.side_accuracy:.3f} | {f.side_balanced:.3f} | {gaps[name]:.3f} |"
        for name, f in figures.items()
    ]
    return "\n".join(lines)


def units_table(figures: UnitFigures, calibration: UnitCalibration) -> str:
    """A row a unit, Markdown."""
    lines = [
        "| unit, other faces | maps | told from | precision | recall | F1 | AUC | sides |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in figures.rows:
        sides = "" if np.isnan(row.sides) else f"{row.sides:.2f}"
        threshold = calibration.threshold[calibration.units.index(row.unit)]
        told = f"{threshold:.2f}" if threshold < NEVER else "never"
        lines.append(
            f"| AU {row.unit} | {row.n} | {told} | {row.precision:.2f} "
            f"| {row.recall:.2f} | {row.f1:.2f} | {row.auc:.3f} | {sides} |"
        )
    return "\n".join(lines)


_LIMITS = """## Limits

- Evidence for a trained coder, not a FACS coding. It says what the motion resembles; wrinkles,
  bulges and the red of the lips, which coders also look at, are not in a flow map.
- Units that move the same skin the same way are mixed up: 6 with 7 and 12, 9 with 10, 14 with 12
  and 20, 23 with 24, 25 with 26.
- Units that micro-expression tables do not name (16, 18, 22, 27, 28, ...) are not told; their
  movement is given to a neighbour, or to none.
- Blinks (45) are seen by tracking and are not told here.
- Real faces differ more from the synthetic ones than the two synthetic sources from each other.

## Licence

MIT, as the package."""
