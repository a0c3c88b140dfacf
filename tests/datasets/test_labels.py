"""Classes are what the model's file says: through every output, and in no word of the code."""

from __future__ import annotations

import csv
import json
import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import decompress

import numpy as np
import pytest

import micromimic
from micromimic.analysis.indicators import indicators
from micromimic.analysis.live.messages import Started
from micromimic.analysis.trends import recording_numbers
from micromimic.core.errors import LabelError
from micromimic.core.labels import THREE, LabelSet
from micromimic.core.results import Analysis, ModelInfo, table_columns
from micromimic.core.types import Recognition
from micromimic.report.elan import eaf_bytes, eaf_document
from micromimic.report.page import report_html
from micromimic.report.palette import COLOURS, place_of, style_sheet
from micromimic.report.tables import events_csv, events_json
from micromimic.workstation.records import jobs, reviews

from ..sample_analysis import sample_analysis

SOURCE = Path(micromimic.__file__).parent
WORDS = re.compile("negative|positive|surprise|smic|casme|samm", re.IGNORECASE)
DOCSTRING = re.compile('""".*?"""', re.DOTALL)
DECLARED = (
    "core/labels.py",
    "datasets/databases/",
    "datasets/megc2019.py",
    "evaluation/article.py",
    "synthesis/databases/",
    "synthesis/planted/plan.py",
    "synthesis/recipes.py",
    "workstation/records/scheme.py",
)
"""Where label sets, databases, what is planted, the article's tables and schemes stand."""

FIVE = ("others", "disgust", "happiness", "repression", "surprise")
SETS = {
    "two": ("=calm", 'tense <b> & "x"'),
    "five": FIVE,
    "seven": ("1", "0", "none", "accept", "very happy", "Überraschung", "place-1"),
}
"""Names that a page, a table or a formula could take for something else among them."""


def test_classes_and_databases_are_words_of_declarations_only() -> None:
    found: dict[str, list[str]] = {}
    for file in SOURCE.rglob("*"):
        name = file.relative_to(SOURCE).as_posix()
        if file.suffix not in (".py", ".js", ".css", ".jinja") or name.startswith(DECLARED):
            continue
        code = DOCSTRING.sub("", file.read_text(encoding="utf-8"))  # examples name databases
        if lines := [line.strip() for line in code.splitlines() if WORDS.search(line)]:
            found[name] = lines
    assert found == {}
    assert all((SOURCE / path).exists() for path in DECLARED)
    declared = (SOURCE / "core/labels.py").read_text(encoding="utf-8")
    assert all(name in declared for name in THREE), "what is looked for is what is declared"


# --- what is made of an analysis


def analysis_of(labels: tuple[str, ...]) -> Analysis:
    """The sample, its events named in turn by these classes."""
    sample = sample_analysis()
    events = []
    for k, event in enumerate(sample.events):
        shares = np.roll(np.linspace(0.1, 1.0, len(labels)), k + 1)
        shares /= shares.sum()
        named = dict(zip(labels, shares.tolist(), strict=True))
        events.append(replace(event, label=labels[k % len(labels)], probabilities=named))
    numbers = indicators(
        events, sample.spotting, sample.curve, sample.source, sample.track, labels=labels
    )
    model = replace(sample.model, labels=labels)
    return replace(sample, events=tuple(events), model=model, indicators=numbers)


@pytest.fixture(scope="module", params=list(SETS))
def labels(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return SETS[request.param]


@pytest.fixture(scope="module")
def analysis(labels: tuple[str, ...]) -> Analysis:
    return analysis_of(labels)


def test_json_keeps_the_models_classes_in_its_order(
    analysis: Analysis, labels: tuple[str, ...]
) -> None:
    content = json.loads(events_json(analysis.to_dict()))
    assert content["model"]["labels"] == list(labels)
    assert all(list(event["probabilities"]) == list(labels) for event in content["events"])
    assert [e["label"] for e in content["events"]] == [e.label for e in analysis.events]
    assert ModelInfo.from_dict(content["model"]) == analysis.model


def test_tables_have_a_column_for_each_class(analysis: Analysis, labels: tuple[str, ...]) -> None:
    text = events_csv(json.loads(events_json(analysis.to_dict()))["events"], labels)
    head, *rows = csv.reader(text.splitlines())
    assert tuple(head) == table_columns(labels) == tuple(analysis.to_frame().columns[1:])
    shares = np.array([row[7 : 7 + len(labels)] for row in rows], float)
    wanted = [list(event.probabilities.values()) for event in analysis.events]
    np.testing.assert_allclose(shares, wanted, atol=1e-4)
    assert not any(cell.startswith("=") for row in rows for cell in row)


def test_elan_and_the_report_say_the_names_as_they_are(
    analysis: Analysis, labels: tuple[str, ...], tmp_path: Path
) -> None:
    from xml.etree import ElementTree as ET

    root = ET.fromstring(eaf_bytes(eaf_document(analysis, tmp_path)))
    tier = next(t for t in root.iter("TIER") if t.get("TIER_ID") == "micro-expression")
    told = [value.text or "" for value in tier.iter("ANNOTATION_VALUE")]
    for words, event in zip(told, analysis.events, strict=True):
        share = f"{event.probabilities[event.label]:.2f}"
        assert words.removesuffix(" uncertain") == f"{event.label} {share}"
    page = report_html(analysis)
    body, script = page.split('<script type="application/zlib" id="data">')[:2]
    data = json.loads(decompress(b64decode(script.split("</script>")[0])))
    assert [one["name"] for one in data["classes"]] == list(labels)
    assert [one["place"] for one in data["classes"]] == [place_of(n, labels) for n in labels]
    assert "<b> &" not in body and ("tense &lt;b&gt; &amp; &#34;x&#34;" in body) == (
        len(labels) == 2
    )
    shown = {event.label for event in analysis.events}
    for name in labels:
        assert (f'swatch dot {place_of(name, labels)}"' in body) == (name in shown)
        assert f'track {place_of(name, labels)}"' in body
    word = {2: "two", 5: "five", 7: "seven"}[len(labels)]
    assert f"which of {word} groups of movements" in body


def test_live_says_the_classes_at_the_start(analysis: Analysis, labels: tuple[str, ...]) -> None:
    assert Started("camera", analysis.model, "").to_dict()["model"]["labels"] == list(labels)


def test_with_the_composites_classes_files_are_what_they_were() -> None:
    """The contract of version 1: what reads these files knows no other columns or keys."""
    analysis = sample_analysis(evidence=False)
    assert list(analysis.to_dict()["model"]) == ["name", "version", "trained_on"]
    assert list(Started("camera", analysis.model, "").to_dict()["model"]) == [
        "name", "version", "trained_on",
    ]  # fmt: skip
    head = events_csv([], analysis.model.labels).strip()
    assert head == (
        "onset_s,apex_s,offset_s,onset_frame,apex_frame,offset_frame,label,p_negative,p_positive,"
        "p_surprise,uncertain,strength,top_region,action_units,amplitude_units,amplitude_sd,"
        "amplitude_px,false_alarm_rate_per_hour,kind"
    )
    colours = [place_of(name, THREE.names) for name in THREE]
    assert colours == ["place-1", "place-2", "place-3"]
    assert "--place-1: light-dark(#bf4b2c, #ef8a6c)" in style_sheet()


def test_a_label_is_one_of_the_probabilities() -> None:
    with pytest.raises(ValueError, match="'other'"):
        Recognition("other", {"a": 0.5, "b": 0.5}, uncertain=False)
    assert Recognition("b", {"b": 0.75, "a": 0.25}, uncertain=False).label == "b"


@pytest.mark.parametrize("name", ["", " a", "a\nb", "a\x00b", "\ud800"])
def test_names_are_what_every_file_can_carry(name: str) -> None:
    with pytest.raises(LabelError, match="one line of text"):
        LabelSet("mine", ("a", name))


def test_more_classes_than_colours_begin_again() -> None:
    many = [str(k) for k in range(len(COLOURS) + 2)]
    assert place_of(many[-1], many) == "place-2"
    assert place_of("none of them", many) == "place-0"


# --- numbers


def test_the_balance_merges_classes_as_the_composite_does() -> None:
    entry = analysis_of(FIVE).indicators["valence_balance"]
    # others, disgust, happiness, repression (uncertain), surprise, others: 1 above, 1 below
    assert entry["value"] == 0.0
    assert "from 1 positive (happiness) and 1 negative (disgust, repression)" in entry["caveat"]
    assert "2 others, 1 surprise and 1 of which the model is unsure left out" in entry["caveat"]


def test_there_is_no_balance_of_classes_without_two_sides() -> None:
    entry = analysis_of(("calm", "happiness")).indicators["valence_balance"]
    assert (entry["value"], entry["low"], entry["high"]) == (None, None, None)
    assert "(calm, happiness) do not stand for negative and positive" in entry["caveat"]


def test_sessions_add_what_their_models_can_say() -> None:
    from datetime import date

    from micromimic.analysis.trends import SessionNumbers, trends

    five = recording_numbers(analysis_of(FIVE).to_dict(), {}, [("accepted", "happiness")])
    other = recording_numbers(analysis_of(("calm", "happiness")).to_dict(), {})
    assert (five.balance, five.neither, other.balance) == ((1, 1), ("others", "surprise"), None)
    assert five.reviewed is not None and five.reviewed.balance == (1, 0)
    found = trends([SessionNumbers("a", "first", date(2024, 1, 1), True, [five, other])])
    row = next(item for item in found["indicators"] if item["name"] == "valence_balance")
    assert (row["sessions"][0]["value"], row["sessions"][0]["n"]) == (0.0, 2)
    assert "those of which the model is unsure and others, surprise, calm left out" in row["caveat"]


# --- a file of such a model, run


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Twelve seconds of a small face with three micro-expressions."""
    from micromimic.synthesis.clips import ClipConfig, plan_clip, render

    config = ClipConfig(
        seconds=12.0, fps=60.0, width=240, height=180, face_px=165.0, events_per_minute=15.0,
        macros_per_minute=0.0, blinks_per_minute=0.0, head_moves_per_minute=0.0, peak_px=1.2,
        noise_sd=0.8,
    )  # fmt: skip
    return list(render(plan_clip(config, 3)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx", reason="onnx is in the train extra")
    from ..model_files import describe, weights_of, write_model

    about = {**describe("flow"), "name": "mine", "labels": list(FIVE)}
    del about["classes"]
    path = tmp_path_factory.mktemp("five") / "five.onnx"
    weights = weights_of("flow", classes=len(FIVE))
    return write_model(path, "flow", weights=weights, details=about)


def test_analysis_and_live_name_events_by_the_files_classes(
    frames: list[np.ndarray], model: Path, tmp_path: Path
) -> None:
    from micromimic.analysis.analyze import AnalyzeConfig, analyze
    from micromimic.analysis.live.messages import LiveEvent, json_line
    from micromimic.analysis.live.session import LiveConfig
    from micromimic.media.video import VideoWriter
    from micromimic.models.onnx import load_model
    from micromimic.report.write import write_analysis

    from ..analysis.test_live import ClipSource

    assert tuple(load_model(model).labels) == FIVE
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 60.0, 240, 180, lossless=True) as writer:
        for gray in frames:
            writer.write(gray)
    analysis = analyze(path, config=AnalyzeConfig(model=model))
    assert len(analysis.events) >= 2 and analysis.model.labels == FIVE
    write_analysis(analysis, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "events.json").read_text(encoding="utf-8"))
    assert {tuple(event["probabilities"]) for event in content["events"]} == {FIVE}
    rows = csv.DictReader((tmp_path / "out" / "events.csv").read_text("utf-8").splitlines())
    for row, event in zip(rows, analysis.events, strict=True):
        assert row["label"] == max(FIVE, key=lambda name: float(row[f"p_{name}"])) == event.label

    config = LiveConfig(model=model, may_drop=False)
    with micromimic.live(ClipSource(frames, 60.0), config=config) as session:
        told = list(session)
    start: dict[str, Any] = json.loads(json_line(told[0]))
    assert start["model"]["labels"] == list(FIVE)
    events = [message.event for message in told if isinstance(message, LiveEvent)]
    assert len(events) >= 2
    assert all(tuple(event.probabilities) == FIVE for event in events)


# --- the records


def test_coders_choose_among_the_recordings_own_classes(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")
    from micromimic.core.errors import RefusedError
    from micromimic.workstation.export.recording import export_events
    from micromimic.workstation.records.database import open_store

    from ..store_samples import add_recording, answer

    with open_store(tmp_path) as store:
        ids = []
        for names in (FIVE, THREE.names):
            given = answer()
            given["payload"]["model"] |= {} if names == THREE.names else {"labels": list(names)}
            for event in given["payload"]["events"]:
                shares = np.arange(len(names), 0, -1) / sum(range(len(names) + 1))
                event["probabilities"] = dict(zip(names, shares.tolist(), strict=True))
                event["label"] = names[0]
            recording = add_recording(store)
            job = jobs.claim_job(store, "tests")
            assert job is not None
            jobs.finish_job(store, job.id, **given)
            ids.append(recording.id)

        def say(recording: str, number: int, label: str) -> None:
            reviews.decide(
                store,
                recording,
                coder="kim",
                expected=number,
                action="relabel",
                event="m0",
                label=label,
            )

        with pytest.raises(RefusedError, match="others, disgust, happiness, repression, surprise"):
            say(ids[0], 0, "negative")
        with pytest.raises(RefusedError, match="negative, positive, surprise, got 'disgust'"):
            say(ids[1], 0, "disgust")
        say(ids[0], 0, "repression")
        say(ids[1], 0, "positive")
        found = [reviews.get_analysis(store, recording) for recording in ids]
        assert [tuple(answered.labels) for answered in found if answered] == [FIVE, THREE.names]
        head, row, *_ = csv.reader(
            export_events(store, ids[0], coder="kim", format="csv").decode().splitlines()
        )
        assert head[7:12] == [f"p_{name}" for name in FIVE]
        assert row[6:8] == ["repression", "0.3333333333333333"]


def test_a_manifest_holds_the_classes_of_one_model(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")
    from micromimic.core.errors import RefusedError
    from micromimic.datasets.manifest import read_manifest
    from micromimic.workstation.export.manifest import gather, write_gathered
    from micromimic.workstation.records.database import open_store

    from ..store_samples import add_recording, answer

    with open_store(tmp_path / "data") as store:
        for names in (FIVE, ("calm", "tense")):
            given = answer()
            given["payload"]["model"]["labels"] = list(names)
            for event, name in zip(given["payload"]["events"], names, strict=False):
                event |= {"label": name, "probabilities": {n: 1 / len(names) for n in names}}
            recording = add_recording(store, files=True)
            job = jobs.claim_job(store, "tests")
            assert job is not None
            jobs.finish_job(store, job.id, **given)
            for number, event in enumerate(("m0", "m1")):
                reviews.decide(
                    store, recording.id, coder="kim", expected=number, action="accept", event=event
                )
            if names == FIVE:
                write_gathered(gather(store, coder="kim"), tmp_path / "five")
        with pytest.raises(RefusedError, match="calm, tense and others, disgust"):
            gather(store, coder="kim")
    clips = read_manifest(tmp_path / "five" / "manifest.csv", "any")
    assert [clip.label for clip in clips] == ["others", "disgust"]


# --- planted movements


def test_recovery_shows_what_another_models_classes_make_of_the_planted() -> None:
    from micromimic.core.types import Interval
    from micromimic.evaluation.recovery import Candidate, Recovery, Trial
    from micromimic.report.sensitivity import sensitivity_html, sensitivity_json

    sample = analysis_of(FIVE)
    span = Interval(1.0, 1.1, 1.2)
    trials = tuple(
        Trial(0, span, 0.3, 1.5, label, "mouth", ("12",), Candidate(span, name, 6.0))
        for label, name in zip(THREE, ("disgust", "happiness", "happiness"), strict=True)
    )
    recovery = Recovery(
        source=sample.source, warnings=(), model=sample.model, trials=trials, sizes=(0.3,),
        plain=(), plain_per_minute=(0.0, 1.0), others={0.3: 0}, eyes_px=100.0, seed=0,
        limited=False,
    )  # fmt: skip
    found = sensitivity_json(recovery)
    assert found["classes"] == list(THREE) and found["found_classes"] == list(FIVE)
    assert found["sizes"][0]["confusion"] == [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]]
    assert found["sizes"][0]["uf1"] is None
    assert '<th scope="col">repression</th>' in sensitivity_html(recovery)
