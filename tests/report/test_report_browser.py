"""The report in a real browser: drawn, without errors, as wide as the screen and no wider."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path

import pytest

from micromimic.report.html import report_html

from ..sample_analysis import empty_analysis, sample_analysis

pytestmark = pytest.mark.needs("browser")

EARS = """<script>
window.trouble = [];
addEventListener("error", (e) => trouble.push("error: " + e.message));
addEventListener("unhandledrejection", (e) => trouble.push("rejected: " + e.reason));
addEventListener("securitypolicyviolation", (e) => trouble.push("refused: " + e.blockedURI));
for (const level of ["error", "warn"]) {
  const say = console[level];
  console[level] = (...words) => { trouble.push(level + ": " + words.join(" ")); say(...words); };
}
</script>"""
PROBE = """<script>
const wait = (ms) => new Promise((go) => setTimeout(go, ms));
const paths = (plot) => [...document.querySelectorAll(plot + " .scatterlayer .trace path.js-line")]
  .map((p) => (p.getAttribute("d") || "").length);
const style = () => getComputedStyle(document.body).backgroundColor;
(async () => {
  const out = { before: paths("#timeline") };
  out.points = document.querySelectorAll("#timeline .scatterlayer .points path").length;
  out.shapes = document.querySelectorAll("#timeline .shapelayer path").length;
  document.getElementById("cells").open = true;
  await wait(800);
  out.cells = paths("#cells-plot");
  out.limits = paths("#limits-plot");
  out.closed = document.querySelectorAll("#limits-plot .scatterlayer .fills path.js-fill").length;
  out.traces = document.querySelectorAll("#cells-plot .scatterlayer .trace").length;
  const zoom = document.querySelector("button.zoom[data-event='2']");
  if (zoom) {
    zoom.click();
    await wait(300);
    out.range = document.getElementById("timeline").layout.xaxis.range.map(Number);
    out.cellRange = document.getElementById("cells-plot").layout.xaxis.range.map(Number);
    document.getElementById("timeline").emit("plotly_click", { points: [{ customdata: 4 }] });
    await wait(100);
    const limits = document.getElementById("limits-plot");
    out.limitRange = limits.layout.xaxis.range.map(Number);
    out.scales = [limits.layout.yaxis.type, ...limits.layout.yaxis.range.map(Number)];
    out.lit = [...document.querySelectorAll(".card.lit")].map((c) => c.id);
    document.getElementById("reset").click();
    await wait(300);
    out.whole = document.getElementById("timeline").layout.xaxis.range.map(Number);
    const apex = document.querySelector("#event-1 img.apex");
    out.seen = [getComputedStyle(apex).visibility];
    document.querySelector("#event-1 input[value=onset]").click();
    out.seen.push(getComputedStyle(apex).visibility);
    document.querySelector("#event-1 button.frame").click();
    out.enlarged = document.getElementById("lightbox").open;
    document.getElementById("lightbox").close();
  }
  const first = style();
  document.getElementById("theme").click();
  await wait(300);
  out.themes = [first, style()];
  out.wide = document.documentElement.scrollWidth - innerWidth;
  out.width = innerWidth;
  out.ready = document.documentElement.dataset.ready;
  out.trouble = trouble;
  parent.postMessage(JSON.stringify(out), "*");
})();
</script>"""


def probe(browser: str, folder: Path, page: str, width: int) -> dict:
    """Open the page in a frame of a given width (a window has a least width) and question it."""
    page = page.replace("<head>", "<head>" + EARS, 1)
    place = page.rindex("</body>")
    (folder / "report.html").write_text(page[:place] + PROBE + page[place:], encoding="utf-8")
    (folder / "frame.html").write_text(
        f"<iframe src='report.html' style='width:{width}px;height:3000px;border:0'></iframe>"
        "<pre id='result'></pre><script>addEventListener('message', (e) => "
        "{ document.getElementById('result').textContent = e.data; });</script>"
    )
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1500,3000",
        "--virtual-time-budget=20000", "--dump-dom", (folder / "frame.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    found = re.search(r"<pre id=.result.>(.*?)</pre>", done.stdout, re.S)
    assert found and found[1], f"no answer from the page\n{done.stderr[-2000:]}"
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("width", [1440, 390])
def test_report_is_drawn_and_works(browser, tmp_path, width):
    found = probe(browser, tmp_path, report_html(sample_analysis()), width)
    assert found["trouble"] == []
    assert found["ready"] == "true"
    assert found["width"] == width
    assert found["wide"] <= 0
    assert max(found["before"]) > 1000  # the score's line has points
    assert found["points"] >= 6 + 2 * 6 + 13  # apexes, feet, rejections
    assert found["shapes"] >= 6 + 8 + 2 + 1 + 1  # events, blinks, gates, lost, threshold
    assert found["traces"] == 10
    assert len(found["cells"]) == 20  # each cut in two where the face is lost
    assert min(found["cells"]) > 200
    assert found["range"] == pytest.approx([19.115, 23.115])
    assert found["limitRange"] == pytest.approx(found["range"])
    assert found["scales"] == ["log", pytest.approx(-0.1, abs=0.3), pytest.approx(1.1, abs=0.3)]
    assert len(found["limits"]) >= 2 * 5 and found["closed"] == 2  # brows and lids close
    assert found["cellRange"] == pytest.approx(found["range"])
    assert found["whole"] == pytest.approx([0, 59.995])
    assert found["lit"] == ["event-5"]
    assert found["seen"] == ["visible", "hidden"]
    assert found["enlarged"] is True
    assert found["themes"][0] != found["themes"][1]


def test_report_without_events_opens(browser, tmp_path):
    found = probe(browser, tmp_path, report_html(empty_analysis()), 390)
    assert found["trouble"] == []
    assert max(found["before"]) > 500
    assert found["wide"] <= 0
