"""The report: one self-contained HTML page that opens offline and asks no network for anything."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path, PurePath
from typing import Final

from micromimic import __version__
from micromimic.core.results import Analysis
from micromimic.core.strict_json import json_text, printable
from micromimic.report.cards import cards
from micromimic.report.curves import timeline_data
from micromimic.report.detection import limits_data
from micromimic.report.palette import place_of, rules, tokens
from micromimic.report.sections import (
    brand,
    events_table,
    header,
    indicators_block,
    limits_block,
    provenance,
    rejected_block,
    text,
    timeline,
    warning_list,
)

# The browser itself refuses everything that would leave the page.
POLICY: Final = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; font-src data:; base-uri 'none'; form-action 'none'"
)


def _template(name: str) -> str:
    return (files("micromimic.report") / "templates" / name).read_text(encoding="utf-8")


def embedded_json(value: object) -> str:
    """JSON that can stand inside a script element: no ``<``, ``>`` or ``&`` as such.

    >>> embedded_json({"a": "</script>"})
    '{"a":"\\\\u003c/script\\\\u003e"}'
    """
    raw = json_text(value, digits=9, separators=(",", ":"))
    return raw.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def report_html(analysis: Analysis) -> str:
    """The whole page as text.

    About 4.8 MB of it is the plotting library; pictures shrink with the number of events, and a
    long curve is thinned with its extremes kept, so that even long recordings stay easy to send.
    """
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - only a report needs plotly

    name = text(PurePath(printable(analysis.source.path)).name)
    body = "".join(
        (
            brand(),
            warning_list(analysis.warnings),
            header(analysis),
            timeline(analysis),
            cards(analysis),
            events_table(analysis),
            indicators_block(analysis),
            rejected_block(analysis),
            limits_block(analysis),
            provenance(analysis, __version__),
        )
    )
    labels = analysis.model.labels
    drawn = {
        **timeline_data(analysis),
        "limits": limits_data(analysis),
        "classes": [{"name": n, "place": place_of(n, labels)} for n in labels],
    }
    return (
        f"{head(name)}<body>"
        f'<main>{body}</main><dialog id="lightbox"><img alt=""><p></p></dialog>'
        f'<script type="application/json" id="data">{embedded_json(drawn)}'
        f"</script><script>{get_plotlyjs()}</script><script>{_template('report.js')}</script>"
        "</body></html>\n"
    )


def head(title: str, extra_style: str = "") -> str:
    """A page up to its body: the policy, the title and the style of all reports.

    Args:
        title: escaped.
        extra_style: name of a further style sheet among the templates.
    """
    more = _template(extra_style) if extra_style else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title} – micromimic</title><style>{_style()}{more}</style></head>"
    )


def _style() -> str:
    """The style sheet; the dark colours serve both the system's wish and the page's button."""
    dark = f"{_template('dark.css')}{tokens(dark=True)}"
    return (
        f":root {{ {tokens(dark=False)} }}\n{rules()}\n"
        + _template("report.css")
        + f"@media (prefers-color-scheme: dark) {{:root:not([data-theme=light]) {{{dark}}}}}"
        + f":root[data-theme=dark] {{{dark}}}"
    )


def write_report(analysis: Analysis, path: Path) -> None:
    """Write ``report.html``.

    Raises:
        OSError: if the file cannot be written.
    """
    path.write_text(report_html(analysis), encoding="utf-8")
