"""Label sets, the ten facial cells and the face's parts, by name and in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from micromimic.core.errors import LabelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelSet:
    """The classes that clips are named by, in the order of every table and array.

    Parameters
    ----------
    name
        Of the scheme, as ``--labels`` takes it.
    names
        The classes.
    merges
        For what a coder wrote, in lower case, the class that it counts as; None where the scheme
        leaves it out. A class stands for itself and need not be listed.
    several
        A clip may have more than one class.

    Raises
    ------
    LabelError
        Fewer than two classes, one twice, or merges into none of them.

    Examples
    --------
    >>> three = LabelSet("mine", ("bad", "good"), {"disgust": "bad", "other": None})
    >>> three.label_of("Disgust"), three.label_of("good"), three.label_of("other")
    ('bad', 'good', None)
    >>> three.encode(["good", "bad"]), three.decode([1, 0])
    (array([1, 0]), array(['good', 'bad'], dtype='<U4'))
    """

    name: str
    names: tuple[str, ...]
    merges: Mapping[str, str | None] = field(default_factory=dict, compare=False)
    several: bool = False

    def __post_init__(self) -> None:
        wrong = [n for n in self.names if not n or n != n.strip() or not n.isprintable()]
        if len(self.names) < 2 or len(set(self.names)) != len(self.names) or wrong:
            raise LabelError(
                f"expected two classes or more, each once and one line of text, got "
                f"{list(self.names)}; correct the label set"
            )
        strange = sorted({label for label in self.merges.values() if label} - set(self.names))
        if strange:
            raise LabelError(
                f"expected merges into {', '.join(self.names)}, got {', '.join(strange)}; "
                "correct the label set"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, label: object) -> bool:
        return label in self.names

    def __str__(self) -> str:
        return ", ".join(self.names)

    @property
    def column(self) -> str:
        """The manifest's column of this scheme: ``label``, ``label5``..."""
        return "label" if self.name in _IN_LABEL else f"label{len(self.names)}"

    def index(self, label: str) -> int:
        """Place of a class."""
        if label not in self.names:
            raise LabelError(
                f"expected a label among {self}, got {label!r}; correct it, or name another "
                "scheme of labels"
            )
        return self.names.index(label)

    def label_of(self, emotion: str) -> str | None:
        """The class of what a coder wrote; None where the scheme leaves it out."""
        text = emotion.strip().casefold()
        if text in self.merges:
            return self.merges[text]
        own = {name.casefold(): name for name in self.names}
        if text not in own:
            known = ", ".join(dict.fromkeys([*own, *self.merges]))
            raise LabelError(f"expected an emotion among {known}, got {emotion!r}; correct it")
        return own[text]

    def encode(self, labels: Iterable[str]) -> NDArray[np.int64]:
        """(n,) places of n classes."""
        import numpy as np  # noqa: PLC0415 - importing the package takes a tenth of the time without

        place = {name: number for number, name in enumerate(self.names)}
        texts = [str(label) for label in labels]
        unknown = next((text for text in texts if text not in place), None)
        if unknown is not None:
            self.index(unknown)
        return np.array([place[text] for text in texts], np.int64)

    def decode(self, numbers: Iterable[int] | NDArray[np.integer]) -> NDArray[np.str_]:
        """(n,) classes of n places."""
        import numpy as np  # noqa: PLC0415 - as above

        return np.asarray(self.names)[np.asarray(numbers, np.int64)]


THREE: Final = LabelSet(
    "three",
    ("negative", "positive", "surprise"),
    {
        "happiness": "positive",
        "happy": "positive",
        **dict.fromkeys(
            ("anger", "contempt", "disgust", "fear", "repression", "sadness", "sad"), "negative"
        ),
        "other": None,
        "others": None,
    },
)
"""The composite's three classes: what the article and the shipped models know.

See et al., "MEGC 2019", FG 2019, doi 10.1109/FG.2019.8756611.
"""

_IN_LABEL: Final = frozenset({THREE.name, "any"})


def labels_like(labels: Iterable[str]) -> LabelSet:
    """The label set of some labels, where nothing else says it: their names in order, or `THREE`.

    >>> labels_like(["surprise", "positive"]).name, labels_like(["b", "a"]).names
    ('three', ('a', 'b'))
    """
    found = sorted(set(labels))
    return THREE if set(found) <= set(THREE.names) else LabelSet("any", tuple(found))


def check_labels(labels: Sequence[str] | None, *columns: Iterable[str]) -> tuple[str, ...]:
    """The classes that a score is over, as scikit-learn's ``labels=``: those given, or all seen.

    >>> check_labels(None, ["b"], ["a", "b"]), check_labels(["b"], ["a"])
    (('a', 'b'), ('b',))
    """
    if labels is None:
        return tuple(sorted({str(label) for column in columns for label in column}))
    if len(set(labels)) != len(labels):
        raise LabelError(f"expected each label once, got {list(labels)}; leave repeated ones out")
    return tuple(labels)


CELLS: tuple[str, ...] = (
    "mouth_corner_right",
    "mouth_corner_left",
    "chin",
    "nose_wing_right",
    "nose_wing_left",
    "outer_eye_right",
    "outer_eye_left",
    "brow_right",
    "brow_centre",
    "brow_left",
)
"""The article's ten cells; right and left are the person's own, so *right* is image-left."""

REGIONS: tuple[str, ...] = ("forehead", "eyes", "nose", "mouth", "chin")
"""Parts of the face, from above."""
