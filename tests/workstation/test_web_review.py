"""The review over the API: decisions, their trail, conflicts, agreement, exports, trends."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from micromimic.workstation.records.scheme import BUILT_IN
from micromimic.workstation.records.study import change_study

from ..web_site import API, Site, running_site

pytestmark = pytest.mark.needs("web")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data") as site:
        yield site


def test_a_review_before_and_after_the_answer(site: Site) -> None:
    waiting = site.upload().json()["id"]
    empty = site.get(f"/recordings/{waiting}/review", coder="kim")
    assert empty["recording"]["id"] == waiting
    assert empty["analysis"] is None and empty["review"] is None and empty["shown"] is None
    site.post(f"/recordings/{waiting}/cancel", status=202)
    found = site.get(f"/recordings/{site.analysed()}/review", coder="kim")
    assert found["analysis"]["schema"] == "micromimic.events/1"
    assert found["shown"]["schema"] == "micromimic.review/1"
    assert found["review"]["number"] == 0 and len(found["review"]["events"]) == 6


def test_decisions_undo_redo_and_the_trail(site: Site) -> None:
    path = f"/recordings/{site.analysed()}"
    machine = site.get(f"{path}/review", coder="kim")["analysis"]

    def say(action: str, expected: int, **more: object) -> dict[str, object]:
        body = {"coder": "kim", "expected": expected, "action": action, **more}
        return dict(site.post(f"{path}/decisions", body))

    assert say("accept", 0, event="m0")["number"] == 1
    relabelled = say("relabel", 1, event="m1", label="surprise")
    assert relabelled["events"][1]["label"] == "surprise"
    moved = say("move", 2, event="m2", apex_frame=4224)
    assert moved["events"][2]["apex_frame"] == 4224 and moved["events"][2]["changed"]
    added = say(
        "add", 3, label="negative", onset_frame=100, apex_frame=120, offset_frame=150, note="n"
    )
    assert added["events"][0]["key"] == "c4"
    undone = site.post(f"{path}/undo", {"coder": "kim", "expected": 4})
    assert len(undone["events"]) == 6 and undone["redoable"] == 4
    redone = site.post(f"{path}/redo", {"coder": "kim", "expected": 5})
    assert len(redone["events"]) == 7
    trail = site.get(f"{path}/history")["decisions"]
    assert [d["action"] for d in trail] == ["accept", "relabel", "move", "add", "undo", "redo"]
    assert site.get(f"{path}/history", coder="lee")["decisions"] == []
    assert site.get(f"{path}/review", coder="kim")["analysis"] == machine
    assert site.get(path)["coders"] == ["kim"]


def test_two_tabs_saving_the_same_event(site: Site) -> None:
    path = f"{API}/recordings/{site.analysed()}/decisions"
    body = {"coder": "kim", "expected": 0, "action": "accept", "event": "m0"}
    answers = []

    def save() -> None:
        answers.append(site.client.post(path, json=body))

    threads = [threading.Thread(target=save) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status_code for a in answers) == [201] + 7 * [409]
    message = next(a for a in answers if a.status_code == 409).json()["error"]["message"]
    assert "kim" in message and "20" in message  # who, and when
    assert len(site.get(path.removeprefix(API).replace("decisions", "history"))["decisions"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"action": "accept", "event": "m99"},
        {"action": "relabel", "event": "m0"},
        {"action": "relabel", "event": "m0", "label": "joy"},
        {"action": "move", "event": "m0", "onset_frame": 99_999_999},
        {"action": "move", "event": "m0", "onset_frame": -1},
        {"action": "undo"},
        {"action": "accept", "event": "m0", "coder": ""},
        {"action": "accept", "event": "m0", "coder": "machine"},
        {"action": "accept", "event": "m0", "expected": "x"},
        {"action": "accept", "event": "m0", "more": 1},
        {"action": "comment", "event": "m0", "note": "a\x00b"},
    ],
)
def test_decisions_that_make_no_sense_are_refused(site: Site, body: dict[str, object]) -> None:
    path = f"/recordings/{site.analysed()}"
    answer = site.post(f"{path}/decisions", {"coder": "kim", "expected": 0, **body}, status=422)
    assert answer["error"]["code"] in ("invalid", "refused")
    assert site.get(f"{path}/history")["decisions"] == []


def test_agreement_of_two_coders_and_with_the_machine(site: Site) -> None:
    path = f"/recordings/{site.analysed()}"
    for coder, actions in (("kim", 6 * ["accept"]), ("lee", 5 * ["accept"] + ["reject"])):
        for k, action in enumerate(actions):
            body = {"coder": coder, "expected": k, "action": action, "event": f"m{k}"}
            site.post(f"{path}/decisions", body)
        site.post(f"{path}/decisions", {"coder": coder, "expected": 6, "action": "done"})
    both = site.get(f"{path}/agreement", coder="kim", other="lee")
    assert both["n"] == 6 and both["observed"] == pytest.approx(5 / 6)
    assert both["events_first"] == 6 and both["events_second"] == 5
    assert both["f1"] == pytest.approx(10 / 11)
    machine = site.get(f"{path}/agreement", coder="machine", other="lee")
    assert machine["n"] == 6 and machine["f1"] == pytest.approx(10 / 11)
    itself = site.get(f"{path}/agreement", coder="kim", other="kim")
    assert itself["f1"] == 1.0 and itself["observed"] == 1.0
    waiting = site.upload().json()["id"]
    query = {"coder": "kim", "other": "lee"}
    early = site.client.get(f"{API}/recordings/{waiting}/agreement", params=query)
    assert early.status_code == 409


def test_agreement_with_the_machine_says_which_of_its_classes_the_scheme_lacks(site: Site) -> None:
    path = f"/recordings/{site.analysed()}"
    change_study(site.store, scheme=BUILT_IN["seven"].to_dict())
    for k in range(6):
        reject = {"coder": "kim", "expected": k, "action": "reject", "event": f"m{k}"}
        site.post(f"{path}/decisions", reject)
    site.post(f"{path}/decisions", {"coder": "kim", "expected": 6, "action": "done"})
    query = {"coder": "kim", "other": "machine"}
    assert (
        "negative, positive: classes of the machine that the coding scheme lacks"
        in (site.get(f"{path}/agreement", **query)["note"])
    )
    change_study(site.store, scheme=BUILT_IN["three"].to_dict())
    assert "lacks" not in site.get(f"{path}/agreement", **query)["note"]


@pytest.mark.parametrize("kind", ["json", "csv", "eaf"])
def test_export_of_one_recording(site: Site, kind: str) -> None:
    recording_id = site.analysed(name='in"ter\nview.mp4')
    for coder, who in ((None, ""), ("kim lee", ".kim_lee")):
        answer = site.client.get(
            f"{API}/recordings/{recording_id}/export/{kind}",
            params={} if coder is None else {"coder": coder},
        )
        assert answer.status_code == 200
        wanted = f'attachment; filename="in_ter_view{who}.events.{kind}"'
        assert answer.headers["content-disposition"] == wanted
    if kind == "json":
        assert json.loads(answer.content)["review"]["coder"] == "kim lee"


def test_decisions_as_a_page_to_read_and_print(site: Site) -> None:
    person = site.subject("P04")["id"]
    session = site.session(person, title="first", condition="control", held_on="2026-11-20")
    path = f"/recordings/{site.analysed(session_id=session['id'])}"
    content = {"schema": "micromimic.scheme/1", "name": "mine", "units": True, "sides": True,
               "intensities": True, "certainty": ["guess", "certain"], "tags": ["posed"],
               "classes": [{"name": name} for name in ("negative", "positive", "odd")]}  # fmt: skip
    changed = site.client.patch(f"{API}/study", json={"scheme": content, "mode": "blind"})
    assert changed.status_code == 200
    frames = {"onset_frame": 100, "apex_frame": 120, "offset_frame": 150}
    unit = {"au": 12, "side": "left", "intensity": "C"}
    made = ({"action": "add", "label": "odd", "units": [unit], "certainty": "guess",
             "tags": ["posed"], "note": "<b>see</b>", **frames},
            {"action": "reject", "event": "m1"})  # fmt: skip
    for number, body in enumerate(made):
        site.post(f"{path}/decisions", {"coder": "kim", "expected": number, **body})

    def page(**query: str) -> str:
        answer = site.client.get(f"{API}{path}/decisions.html", params={"coder": "kim", **query})
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
        assert "sandbox" in answer.headers["content-security-policy"]
        return answer.text

    text = page()
    for words in ("P04 - control - 20 Nov 2026", "decisions of kim", "not finished: 5 not decided",
                  "odd: added", "AU 12 left C, lip corner puller", "How sure kim is: guess",
                  "posed", "&lt;b&gt;see&lt;/b&gt;", "before the machine", "@media print",
                  "0:13.900 to <b>0:14.020</b>", "The machine: negative 0.83"):  # fmt: skip
        assert words in text, words
    assert text.count("Not decided yet") == 5 and "0:04.365" not in text, "coded blind"
    assert "The machine: positive" not in text
    rest = [{"action": "reject", "event": f"m{k}"} for k in (0, 2, 3, 4, 5)]
    for number, body in enumerate((*rest, {"action": "done"}), 2):
        site.post(f"{path}/decisions", {"coder": "kim", "expected": number, **body})
    text = page()
    assert "<li>done</li>" in text and "0:04.365" in text and "The machine: positive" in text
    assert site.client.get(f"{API}{path}/decisions.html?coder=kim&reader=lee").status_code == 409


def test_the_manifest_as_a_zip(site: Site) -> None:
    person = site.subject("P01")
    recording_id = site.analysed(session_id=site.session(person["id"])["id"])
    nothing = site.client.get(f"{API}/export/manifest.zip", params={"coder": "kim"})
    assert nothing.status_code == 422 and nothing.json()["error"]["code"] == "refused"
    body = {"coder": "kim", "expected": 0, "action": "accept", "event": "m0"}
    site.post(f"/recordings/{recording_id}/decisions", body)
    answer = site.client.get(
        f"{API}/export/manifest.zip", params={"coder": "kim", "subject_id": person["id"]}
    )
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert "manifest.csv" in archive.namelist()
        assert b"P01" in archive.read("manifest.csv")


def test_trends_of_a_person(site: Site) -> None:
    person = site.subject("P01")
    first = site.session(person["id"], baseline=True)
    second = site.session(person["id"], title="week 4", held_on="2026-04-01")
    for sitting in (first, second):
        site.analysed(session_id=sitting["id"])
    found = site.get(f"/subjects/{person['id']}/trends")
    assert found["schema"] == "micromimic.trends/1"
    rate = found["indicators"][0]
    assert [s["session_id"] for s in rate["sessions"]] == [first["id"], second["id"]]
    assert rate["change"][0]["value"] == pytest.approx(1.0)


def test_a_study_over_the_api(site: Site) -> None:
    names = [scheme["name"] for scheme in site.get("/study/schemes")["schemes"]]
    assert names == ["three", "seven", "facs"]
    seven = {**site.get("/study/schemes")["schemes"][1], "tags": ["posed"]}

    def change(status: int = 200, **body: object) -> Any:
        answer = site.client.patch(f"{API}/study", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    assert change(title="Stress", scheme=seven, overlap=0.3)["scheme"] == seven
    assert change(mode="blind")["title"] == "Stress"
    assert change(mode="open") == site.get("/study")
    assert change(422, scheme={**seven, "classes": []})["error"]["code"] == "refused"
    assert change(422, mode="secret")["error"]["code"] == "invalid"
    path = f"/recordings/{site.analysed()}"
    view = site.get(f"{path}/review", coder="kim")
    assert view["labels"] == [entry["name"] for entry in seven["classes"]]
    assert (view["study"]["scheme"], view["markers"]) == (seven, [])
    said = {"units": [{"au": 12, "side": "left", "intensity": "C"}], "certainty": "probable"}
    body = {"coder": "kim", "expected": 0, "action": "accept", "event": "m0", "label": "fear"}
    made = site.post(f"{path}/decisions", {**body, **said, "tags": ["posed"]})["events"][0]
    assert (made["label"], made["machine"]["label"]) == ("fear", "positive")
    assert (made["units"], made["certainty"], made["tags"]) == (
        said["units"], "probable", ["posed"],
    )  # fmt: skip
    error = change(409, scheme=None)["error"]
    assert "the class fear, as kim coded it" in error["message"]
    assert site.get("/study")["scheme"] == seven
    (row,) = site.get(path)["progress"]
    assert row == {"coder": "kim", "decided": 1, "candidates": 6, "done": False}


def test_markers_over_the_api(site: Site) -> None:
    path = f"/recordings/{site.analysed()}"
    film = {"tier": "stimulus", "label": "film 1", "onset_s": 2.5, "offset_s": 12}
    made = site.post(f"{path}/markers", film)
    site.post(f"{path}/markers", {"tier": "key", "label": "", "onset_s": 1})
    assert site.post(f"{path}/markers", {**film, "offset_s": 2}, status=422)["error"]
    assert [m["onset_s"] for m in site.get(f"{path}/markers")["markers"]] == [1, 2.5]
    assert site.get(f"{path}/review", coder="kim")["markers"][1] == made
    assert site.client.delete(f"{API}{path}/markers/{made['id']}").status_code == 204
    assert site.client.delete(f"{API}{path}/markers/{made['id']}").status_code == 404
    assert len(site.get(f"{path}/markers")["markers"]) == 1


def test_where_a_waiting_job_stands(site: Site) -> None:
    first, second = site.upload().json(), site.upload().json()
    assert (first["job"]["place"], second["job"]["place"]) == (1, 2)
    listed = {r["id"]: r["job"]["place"] for r in site.get("/recordings")["recordings"]}
    assert listed == {first["id"]: 1, second["id"]: 2}
    site.post(f"/recordings/{first['id']}/cancel", status=202)
    assert site.get(f"/jobs/{second['job']['id']}")["place"] == 1
    assert site.get(f"/recordings/{first['id']}")["job"]["place"] is None
    assert second["same_as"] == first["id"]
