"""A coding scheme: what a coder may say of an event, read from a file and checked; pure functions.

Where a study has none, a coder chooses among the classes of the model that analysed the recording,
and says nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TypeVar

from micromimic.core.errors import RefusedError
from micromimic.workstation.records.values import LONGEST_LINE, LONGEST_NAME, line

SCHEMA: Final = "micromimic.scheme/1"
SIDES: Final = ("", "left", "right", "both")
INTENSITIES: Final = ("", "A", "B", "C", "D", "E")
"""As the Facial Action Coding System grades them: a trace to the most there is."""
LAST_UNIT: Final = 99
MOST_ENTRIES: Final = 100
"""Classes, tags or templates of a scheme; units or tags of an event."""
_TAKEN: Final = frozenset({"per_minute"})
"""A class's count stands in the study's tables as ``events_NAME``; these are other columns."""

T = TypeVar("T")


@dataclass(frozen=True)
class Template:
    """A coding made beforehand, given by one key."""

    name: str
    label: str
    units: list[dict[str, Any]]
    tags: list[str]


@dataclass(frozen=True)
class Scheme:
    """Classes, each with its description, and what may be said beside them.

    ``units``: True for every action unit, else those listed. ``certainty`` goes from low to high.
    """

    name: str
    classes: Mapping[str, str]
    units: bool | list[int] = False
    sides: bool = False
    intensities: bool = False
    certainty: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    templates: list[Template] = field(default_factory=list)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.classes)

    @classmethod
    def of_labels(cls, labels: Iterable[str]) -> Scheme:
        """A model's classes, and nothing beside them."""
        return cls("", dict.fromkeys(labels, ""))

    @classmethod
    def read(cls, content: object) -> Scheme:
        """Of a scheme's JSON; `RefusedError` where it is none."""
        given = _object(content, "a coding scheme", ("schema", *cls.__dataclass_fields__))
        if given.get("schema") != SCHEMA:
            raise RefusedError(
                f"expected a coding scheme of {SCHEMA}, got {str(given.get('schema'))[:40]!r}; "
                "write its schema"
            )
        classes = _list(given.get("classes"), "the scheme's classes", _class)
        if not classes:
            raise RefusedError("expected a scheme with a class, got none; add one")
        _check_once([name.casefold() for name, _ in classes], "the scheme's classes")
        units = given.get("units", False)
        if not isinstance(units, bool):
            units = _list(units, "the scheme's units", _unit_number)
            _check_once(units, "the scheme's units")
        scheme = cls(
            name=_text(given.get("name"), "the scheme's name"),
            classes=dict(classes),
            units=units,
            sides=_switch(given, "sides"),
            intensities=_switch(given, "intensities"),
            certainty=_names(given.get("certainty", ()), "the scheme's certainty"),
            tags=_names(given.get("tags", ()), "the scheme's tags"),
        )
        divided = next((tag for tag in scheme.tags if ";" in tag), None)
        if divided is not None:
            raise RefusedError(
                f"expected tags without ;, which stands between them in tables, got {divided!r}; "
                "rename it"
            )
        templates = _list(given.get("templates", ()), "the scheme's templates", scheme._template)
        _check_once([template.name for template in templates], "the scheme's templates")
        return replace(scheme, templates=templates)

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `read` takes."""
        classes = [{"name": name, "description": text} for name, text in self.classes.items()]
        return {"schema": SCHEMA, **asdict(self), "classes": classes}

    def label(self, value: object) -> str:
        return _among(self.labels, value, "a label")

    def coded_units(self, value: object) -> list[dict[str, Any]]:
        """Action units, each once a side, with all that the scheme asks for."""
        units = _list(value, "units", self._unit)
        _check_once([(unit["au"], unit["side"]) for unit in units], "units")
        return units

    def coded_certainty(self, value: object) -> str:
        """One of the scheme's steps, or "" for none."""
        return "" if value == "" else _among(self.certainty, value, "a certainty")

    def coded_tags(self, value: object) -> list[str]:
        """Some of the scheme's tags, each once."""
        return [_among(self.tags, tag, "tags") for tag in _names(value, "tags")]

    def _unit(self, value: object) -> dict[str, Any]:
        given = _object(value, "a unit", ("au", "side", "intensity"))
        number = _unit_number(given.get("au"))
        if self.units is False or (self.units is not True and number not in self.units):
            known = "none" if isinstance(self.units, bool) else ", ".join(map(str, self.units))
            raise RefusedError(
                f"expected an action unit of the scheme ({known}), got {number}; leave it out"
            )
        side, intensity = given.get("side", ""), given.get("intensity", "")
        return {
            "au": number,
            "side": _among(SIDES if self.sides else SIDES[:1], side, "the side of a unit"),
            "intensity": _among(
                INTENSITIES if self.intensities else INTENSITIES[:1],
                intensity,
                "the intensity of a unit",
            ),
        }

    def _template(self, value: object) -> Template:
        given = _object(value, "a template", ("name", "label", "units", "tags"))
        units = [
            {"au": unit} if isinstance(unit, int) else unit
            for unit in _list(given.get("units", ()), "a template's units", lambda unit: unit)
        ]
        return Template(
            _text(given.get("name"), "a template's name"),
            self.label(given.get("label")),
            self.coded_units(units),
            self.coded_tags(given.get("tags", ())),
        )


def _object(value: object, what: str, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RefusedError(f"expected {what} as a JSON object, got {value!r:.40}; correct it")
    strange = [key for key in value if key not in keys]
    if strange:
        raise RefusedError(
            f"expected {what} with {', '.join(keys)}, got {str(strange[0])[:40]!r}; take it out"
        )
    return value


def _list(value: object, what: str, read: Callable[[Any], T]) -> list[T]:
    if not isinstance(value, list | tuple) or len(value) > MOST_ENTRIES:
        got = f"{len(value)}" if isinstance(value, list | tuple) else f"{value!r:.40}"
        raise RefusedError(
            f"expected {what} as a list of at most {MOST_ENTRIES}, got {got}; correct it"
        )
    return [read(item) for item in value]


def _names(value: object, what: str) -> list[str]:
    found = _list(value, what, lambda item: _text(item, what))
    _check_once(found, what)
    return found


def _among(known: Sequence[str], value: object, what: str) -> str:
    if not isinstance(value, str) or value not in known:
        listed = ", ".join(name or "none" for name in known) or "none"
        raise RefusedError(f"expected {what} among {listed}, got {value!r}; use one of them")
    return value


def _check_once(found: Sequence[object], what: str) -> None:
    twice = [item for item in found if found.count(item) > 1]
    if twice:
        raise RefusedError(f"expected {what} each once, got {twice[0]!r} twice; leave one out")


def _text(value: object, what: str, longest: int = LONGEST_LINE, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise RefusedError(f"expected {what} as text, got {value!r:.40}; correct it")
    return line(value, what, longest, empty=empty)


def _class(value: object) -> tuple[str, str]:
    given = _object(value, "a class", ("name", "description"))
    about = _text(given.get("description", ""), "a description", LONGEST_NAME, empty=True)
    name = _text(given.get("name"), "a class's name")
    if name.casefold() in _TAKEN:
        raise RefusedError(
            f"expected a class's name, got {name!r}, which names a column of the study's tables; "
            "rename it"
        )
    return name, about


def _unit_number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LAST_UNIT:
        raise RefusedError(
            f"expected the number of an action unit from 1 to {LAST_UNIT}, got {value!r:.40}; "
            "correct it"
        )
    return value


def _switch(given: Mapping[str, Any], key: str) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise RefusedError(f"expected the scheme's {key} as true or false, got {value!r:.40}")
    return value


def _built_in(name: str, *classes: str) -> Scheme:
    certainty = ["guess", "probable", "certain"]
    return Scheme(name, dict.fromkeys(classes, ""), True, True, True, certainty)


BUILT_IN: Final[Mapping[str, Scheme]] = {
    scheme.name: scheme
    for scheme in (
        _built_in("three", "negative", "positive", "surprise"),
        _built_in(
            "seven", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"
        ),
        _built_in("facs", "expression"),
    )
}
"""Schemes to begin with: the composite's classes, seven emotions, action units alone."""
