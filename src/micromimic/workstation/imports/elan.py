"""ELAN files (EAF): read, and tiers that are not ours kept for the next file that is written.

Times are in milliseconds in slots that annotations name. Tiers without a parent have times of their
own; a tier that hangs on another is told as nested, but where it divides each of its parent's
annotations in two (``Time_Subdivision``), as our own phases do: that is where the apex is.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from micromimic.core.errors import InputError
from micromimic.workstation.imports.annotations import Annotated, Annotation, file_name

AUTHOR: Final = "micromimic"
_OURS: Final = re.compile(
    r"((micro|macro)-expression|phase|macro-phase|action units|blink|rejected|notes?)(-\d+)?( .+)?"
)
"""Tiers that `report.elan` and the export write; a coder's end with the name."""
_ORDER: Final = (
    "LICENSE",
    "HEADER",
    "TIME_ORDER",
    "TIER",
    "LINGUISTIC_TYPE",
    "LOCALE",
    "LANGUAGE",
    "CONSTRAINT",
    "CONTROLLED_VOCABULARY",
    "LEXICON_REF",
    "EXTERNAL_REF",
)
_KEYS: Final = {
    "LINGUISTIC_TYPE": "LINGUISTIC_TYPE_ID",
    "LOCALE": "LANGUAGE_CODE",
    "LANGUAGE": "LANG_ID",
    "CONSTRAINT": "STEREOTYPE",
    "CONTROLLED_VOCABULARY": "CV_ID",
    "LEXICON_REF": "LEX_REF_ID",
    "EXTERNAL_REF": "EXT_REF_ID",
    "LICENSE": "LICENSE_URL",
}
"""What a document defines beside its tiers, and by what each is named."""
_REFERENCES: Final = (
    "TIME_SLOT_ID",
    "TIME_SLOT_REF1",
    "TIME_SLOT_REF2",
    "ANNOTATION_ID",
    "ANNOTATION_REF",
    "PREVIOUS_ANNOTATION",
)
_RATES: Final = {"PAL-frames": 25.0, "PAL-50-frames": 50.0, "NTSC-frames": 30000 / 1001}
_TAKEN: Final = " (imported)"
_DEEPEST: Final = 32
"""Elements within one another; ELAN has five."""


def read_eaf(path: Path) -> Annotated:
    """The tiers with times of their own, and the names of the videos that the file links."""
    root = _document(path)
    media = root.findall("HEADER/MEDIA_DESCRIPTOR")
    units = root.find("HEADER").get("TIME_UNITS", "milliseconds")  # type: ignore[union-attr]
    rate = _RATES.get(units)
    if rate is None and units != "milliseconds":
        raise InputError(f"expected times in milliseconds in {path.name}, got {units}; export anew")
    factor = 0.001 if rate is None else 1 / rate
    shift = _whole(media[0].get("TIME_ORIGIN") or "0", path) / 1000 if media else 0.0
    seconds = {
        slot.get("TIME_SLOT_ID", ""): round(_whole(value, path) * factor + shift, 6)
        for slot in root.iterfind("TIME_ORDER/TIME_SLOT")
        if (value := slot.get("TIME_VALUE")) is not None
    }
    tiers = root.findall("TIER")
    found = [item for tier in tiers if not tier.get("PARENT_REF") for item in _read(tier, seconds)]
    apexes: dict[tuple[str, float, float], float] = {}
    nested = []
    spans = {(item.tier, item.onset_s, item.offset_s) for item in found}
    for tier in tiers:
        if (parent := tier.get("PARENT_REF")) is not None:
            divided = {(parent, *span): apex for span, apex in _apexes(tier, seconds).items()}
            if divided.keys() <= spans and (divided or tier.find("ANNOTATION") is None):
                apexes |= divided
            else:
                nested.append(tier.get("TIER_ID", ""))
    return Annotated(
        where=path.name,
        annotations=tuple(
            replace(a, apex_s=apexes.get((a.tier, a.onset_s, a.offset_s))) for a in found
        ),
        media=tuple(dict.fromkeys(map(_linked, media))),
        fps=rate,
        nested=tuple(nested),
    )


def foreign_tiers(path: Path) -> bytes | None:
    """The document without our own tiers; None where no other is left."""
    root = _document(path)
    _check_references(root, path)
    if root.get("AUTHOR") == AUTHOR:
        for tier in root.findall("TIER"):
            if _OURS.fullmatch(tier.get("TIER_ID", "")):
                root.remove(tier)
    return None if root.find("TIER") is None else _bytes(root)


def tier_names(content: bytes) -> frozenset[str]:
    """Of a document."""
    tiers = ElementTree.fromstring(content).iterfind("TIER")
    return frozenset(tier.get("TIER_ID", "") for tier in tiers)


def with_tiers(content: bytes, foreign: bytes) -> bytes:
    """A document with the tiers of another added, and all that they refer to.

    A tier or type of a name that is taken by another gets ``(imported)`` behind it.
    """
    own, other = ElementTree.fromstring(content), ElementTree.fromstring(foreign)
    _rename(own, other)
    _translate(own, "own {}".format)  # until all are numbered together
    _translate(other, "other {}".format)
    _define(own, other)
    own.extend(other.findall("TIER"))
    slots = [*_slots(own), *_slots(other)]
    order = own.find("TIME_ORDER")
    assert order is not None
    order[:] = [slot for _, slot in sorted(slots, key=lambda item: item[0])]
    _number(own)
    own[:] = sorted(own, key=lambda child: _ORDER.index(child.tag))
    return _bytes(own)


def replaced_tiers(content: bytes, newer: bytes) -> bytes:
    """What was kept before, with a newer file's tiers in place of those of the same names."""
    older = ElementTree.fromstring(content)
    names = {tier.get("TIER_ID") for tier in ElementTree.fromstring(newer).iterfind("TIER")}
    going = [tier for tier in older.iterfind("TIER") if tier.get("TIER_ID") in names]
    while going:  # what hangs on them goes with them
        for tier in going:
            older.remove(tier)
        names |= {tier.get("TIER_ID") for tier in going}
        going = [tier for tier in older.findall("TIER") if tier.get("PARENT_REF") in names]
    return newer if older.find("TIER") is None else with_tiers(newer, _bytes(older))


def _document(path: Path) -> Element:
    """The root of an EAF file; a DTD, which could name other files, is refused."""
    try:
        root = ElementTree.XML(path.read_bytes(), ElementTree.XMLParser(target=_Builder(path)))
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(
            f"expected an ELAN file, got no XML in {path.name} ({error}); save it again in ELAN"
        ) from None
    parts = [root.find(name) for name in ("HEADER", "TIME_ORDER")]
    if root.tag != "ANNOTATION_DOCUMENT" or None in parts:
        raise InputError(
            f"expected an ELAN file, got <{root.tag[:40]}> in {path.name}; save it again in ELAN"
        )
    return root


class _Builder(ElementTree.TreeBuilder):
    """Elements of an EAF file, in whichever encoding it is: no DTD, no depth without end."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._depth = path, 0

    def doctype(self, *_: object) -> None:
        raise InputError(f"expected an ELAN file, got one with a DTD in {self._path.name}")

    def start(self, tag: str, attributes: dict[str, str], /) -> Element:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InputError(
                f"expected an ELAN file, got <{tag[:40]}> too deep in {self._path.name}; save it "
                "again in ELAN"
            )
        return super().start(tag, attributes)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _whole(text: str, path: Path) -> int:
    if not re.fullmatch("-?[0-9]{1,15}", text.strip()):
        raise InputError(
            f"expected times in whole units in {path.name}, got {text[:40]!r}; save it again in "
            "ELAN"
        )
    return int(text)


def _check_references(root: Element, path: Path) -> None:
    """Whatever is kept is written again, by numbers of ours: nothing may refer to what is not."""
    for key, names in (
        ("TIME_SLOT_ID", ("TIME_SLOT_REF1", "TIME_SLOT_REF2")),
        ("ANNOTATION_ID", ("ANNOTATION_REF", "PREVIOUS_ANNOTATION")),
    ):
        known = {element.get(key) for element in root.iter()}
        lost = [v for e in root.iter() for n in names if (v := e.get(n)) and v not in known]
        if lost:
            raise InputError(
                f"expected a whole ELAN file, got a reference to {lost[0][:40]!r}, which is not in "
                f"{path.name}; save it again in ELAN"
            )


def _read(tier: Element, seconds: Mapping[str, float]) -> Iterator[Annotation]:
    name = tier.get("TIER_ID", "")
    for item in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
        onset, offset = (seconds.get(item.get(f"TIME_SLOT_REF{k}", "")) for k in (1, 2))
        text = " ".join((item.findtext("ANNOTATION_VALUE") or "").split())
        if onset is None or offset is None or offset < onset:
            raise InputError(
                f"expected an annotation with begin and end in tier {name}, got "
                f"{item.get('ANNOTATION_ID')} without; mend it in ELAN"
            )
        yield Annotation(name, text, onset, offset, where=f"tier {name} at {onset:g} s")


def _apexes(tier: Element, seconds: Mapping[str, float]) -> dict[tuple[float, float], float]:
    """Where a tier divides what, by begin and end; nothing where it is no such tier."""
    try:
        spans = deque(_read(tier, seconds))
    except InputError:  # slots without a time: nothing was divided by hand
        return {}
    found = {}
    while spans:
        one = spans.popleft()
        if spans and spans[0].onset_s == one.offset_s:
            found[one.onset_s, spans.popleft().offset_s] = one.offset_s
        elif one.label in ("onset-apex", "apex-offset"):
            apex = one.offset_s if one.label == "onset-apex" else one.onset_s
            found[one.onset_s, one.offset_s] = apex
        else:
            return {}
    return found


def _linked(media: Element) -> str:
    return file_name(unquote(media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""))


def _slots(root: Element) -> Iterator[tuple[int, Element]]:
    """With the time by which each is sorted: of one without a time, that of the one before."""
    time = 0
    for slot in root.findall("TIME_ORDER/TIME_SLOT"):
        time = int(slot.get("TIME_VALUE", time))
        yield time, slot


def _translate(root: Element, new: Callable[[str], str]) -> None:
    for element in root.iter():
        for name in _REFERENCES:
            if (value := element.get(name)) is not None:
                element.set(name, new(value))


def _number(root: Element) -> None:
    """Slots ``ts1``... by time, annotations ``a1``... in their order."""
    names = {
        element.get(key, ""): f"{letter}{number}"
        for key, letter, path in (
            ("TIME_SLOT_ID", "ts", "TIME_ORDER/TIME_SLOT"),
            ("ANNOTATION_ID", "a", "TIER/ANNOTATION/*"),
        )
        for number, element in enumerate(root.iterfind(path), 1)
    }
    _translate(root, names.__getitem__)
    last = root.find("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']")
    if last is not None:
        last.text = str(len(root.findall("TIER/ANNOTATION/*")))


def _rename(own: Element, other: Element) -> None:
    """Give tiers and types of the other document names that are free."""
    taken = {tier.get("TIER_ID", "") for tier in own.iterfind("TIER")}
    tiers: dict[str | None, str] = {}
    for tier in other.iterfind("TIER"):
        name = tier.get("TIER_ID", "")
        free = _free(name, taken)
        taken.add(free)
        tiers.setdefault(name, free)
        tier.set("TIER_ID", free)
    here, coming = (
        {kind.get("LINGUISTIC_TYPE_ID", ""): kind for kind in root.iterfind("LINGUISTIC_TYPE")}
        for root in (own, other)
    )
    kinds: dict[str | None, str] = {}
    for name, kind in coming.items():
        if name in here and here[name].attrib != kind.attrib:
            kinds[name] = _free(name, here.keys() | coming.keys())
            kind.set("LINGUISTIC_TYPE_ID", kinds[name])
    for tier in other.iterfind("TIER"):
        for reference, names in (("PARENT_REF", tiers), ("LINGUISTIC_TYPE_REF", kinds)):
            if (new := names.get(tier.get(reference))) is not None:
                tier.set(reference, new)


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += _TAKEN
    return name


def _define(own: Element, other: Element) -> None:
    """Add what the other document defines and this one does not; its further media too."""
    for tag, key in _KEYS.items():
        there = {element.get(key) for element in own.iterfind(tag)}
        own.extend(element for element in other.findall(tag) if element.get(key) not in there)
    header = own.find("HEADER")
    assert header is not None
    linked = {_linked(media) for media in header.iterfind("MEDIA_DESCRIPTOR")}
    for place, media in enumerate(other.findall("HEADER/MEDIA_DESCRIPTOR")):
        if _linked(media) not in linked and place > 0:  # the first is the video itself
            header.insert(len(linked), deepcopy(media))
            linked.add(_linked(media))


def _bytes(root: Element) -> bytes:
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True))
