// Subjects, their sessions, and how a person's indicators change.

import {
  api, byId, coder, el, fill, formatDate, header, notice, plural, showError,
} from "./app.js";
import { consentLine, loadSessions, loadSubjects } from "./lib/records.js";
import { editSession, editSubject, forgetSubject, removeSession } from "./subjects/forms.js";
import { indicatorCard } from "./subjects/plot.js";

header("subjects");
const state = { subjects: [], chosen: new URLSearchParams(location.search).get("subject") ?? "", run: 0 };

async function attempt(what) {
  try {
    await what();
  } catch (error) {
    showError(error);
  }
}

/* The list */

function showList() {
  const wanted = byId("find").value.trim().toLowerCase();
  const shown = state.subjects.filter((s) => s.code.toLowerCase().includes(wanted));
  fill(byId("subjects"), shown.map((subject) => el("li", {},
    el("a", {
      href: `?subject=${encodeURIComponent(subject.id)}`, "aria-current": subject.id === state.chosen && "true",
      onclick: (event) => { event.preventDefault(); choose(subject.id); },
    }, el("b", {}, subject.code), el("small", {}, `${plural(subject.sessions, "session")}, ${plural(subject.recordings, "recording")}`)))));
  byId("no-subjects").hidden = state.subjects.length > 0;
  byId("find").hidden = state.subjects.length < 6;
}

async function refreshList() {
  state.subjects = await loadSubjects();
  showList();
}

function choose(id) {
  state.chosen = id;
  const address = new URL(location.href);
  if (id) address.searchParams.set("subject", id);
  else address.searchParams.delete("subject");
  if (address.href !== location.href) history.pushState(null, "", address);
  showList();
  attempt(showPerson);
}

/* One person */

const IDLE = "Choose a subject to see sessions and how its indicators change.";

async function showPerson() {
  const run = ++state.run;
  if (!state.chosen) {
    fill(byId("person"), el("section", { class: "panel" }, el("p", { class: "empty" }, IDLE)));
    return;
  }
  let subject, sessions;
  try {
    [subject, sessions] = await Promise.all([api(`/subjects/${encodeURIComponent(state.chosen)}`), loadSessions(state.chosen)]);
  } catch (error) {
    if (run === state.run) fill(byId("person"), el("section", { class: "panel" }, el("p", { class: "problem", role: "alert" }, error.message)));
    return;
  }
  if (run !== state.run) return;
  const trends = el("section", { class: "panel", id: "trends", "aria-labelledby": "trends-title" },
    el("h2", { id: "trends-title" }, "Indicators over sessions"), el("p", { class: "hint" }, "Loading."));
  fill(byId("person"), personPanel(subject, sessions), sessionsPanel(subject, sessions), trends);
  await attempt(() => showTrends(trends, run));
}

function personPanel(subject, sessions) {
  const edit = async () => { if (await editSubject(subject)) await changed(); };
  const forget = async () => {
    const counts = await forgetSubject(subject, sessions);
    if (!counts) return;
    notice(`${subject.code} is forgotten: ${Object.entries(counts).filter(([, n]) => n > 0).map(([what, n]) => `${what.replaceAll("_", " ")} ${n}`).join(", ") || "nothing was left"}.`);
    choose("");
    await refreshList();
  };
  return el("section", { class: "panel", "aria-labelledby": "person-title" },
    el("div", { class: "bar" }, el("h2", { id: "person-title" }, subject.code), el("small", {}, `since ${formatDate(subject.created_at)}`),
      el("button", { class: "small push", type: "button", onclick: () => attempt(edit) }, "Edit"),
      el("button", { class: "small danger", type: "button", id: "forget", "aria-label": `Forget ${subject.code}`, onclick: () => attempt(forget) }, "Forget")),
    subject.note && el("p", { class: "person-note" }, subject.note));
}

function sessionRow(subject, session) {
  const edit = async () => { if (await editSession(subject, session)) await changed(); };
  const remove = async () => { if (await removeSession(session)) await changed(); };
  const mark = async () => {
    await api(`/sessions/${session.id}`, { method: "PATCH", json: { baseline: !session.baseline } });
    await changed();
  };
  const name = `${session.title || "untitled"}, ${formatDate(session.held_on)}`;
  return el("li", { class: "session", dataset: { session: session.id } },
    el("div", { class: "what" }, el("b", {}, session.title || "untitled"),
      el("small", {}, `${formatDate(session.held_on)} · ${plural(session.recordings, "recording")}`),
      el("small", { class: !session.consent.given && "no-consent" }, session.consent.given ? consentLine(session.consent) : "No consent noted: recordings cannot be added.")),
    el("div", { class: "doings" },
      el("button", { class: "small", type: "button", "aria-pressed": String(session.baseline), "aria-label": `Baseline: ${name}`, onclick: () => attempt(mark) }, "Baseline"),
      el("button", { class: "small", type: "button", "aria-label": `Edit ${name}`, onclick: () => attempt(edit) }, "Edit"),
      el("button", { class: "small danger", type: "button", "aria-label": `Remove ${name}`, onclick: () => attempt(remove) }, "Remove")));
}

function sessionsPanel(subject, sessions) {
  const add = async () => { if (await editSession(subject)) await changed(); };
  return el("section", { class: "panel", "aria-labelledby": "sessions-title" },
    el("div", { class: "bar" }, el("h2", { id: "sessions-title" }, "Sessions"),
      el("button", { class: "small push", type: "button", id: "add-session", onclick: () => attempt(add) }, "Add session")),
    sessions.length
      ? el("ul", { class: "rows" }, sessions.map((session) => sessionRow(subject, session)))
      : el("p", { class: "empty" }, "No sessions yet. A session holds the consent for its recordings; mark one at rest as baseline."));
}

async function showTrends(place, run) {
  const found = await api(`/subjects/${encodeURIComponent(state.chosen)}/trends`, { query: { reader: coder() } });
  if (run !== state.run) return;
  const { statements } = await api("/info");
  const measured = found.indicators.some((i) => i.sessions.some((s) => s.value !== null));
  fill(place, el("h2", { id: "trends-title" }, "Indicators over sessions"),
    el("p", { class: "hint" }, found.note),
    measured && el("ul", { class: "legend" },
      el("li", {}, el("span", { class: "ring" }), "baseline"), el("li", {}, el("span", { class: "dot" }), "session, with its 95 % interval"),
      el("li", {}, el("span", { class: "dot clear" }), "change clear of none"),
      found.baseline.length === 1 && el("li", {}, el("span", { class: "shade" }), "the baseline's interval")),
    measured && found.indicators.map((indicator) => indicatorCard(indicator, found.baseline)),
    el("details", { class: "cannot" }, el("summary", {}, "What these numbers cannot tell"),
      el("ul", {}, statements.map(([heading, sentence]) => el("li", {}, el("b", {}, `${heading}. `), sentence)))));
}

async function changed() {
  await refreshList();
  await showPerson();
}

async function addSubject() {
  const subject = await editSubject();
  if (!subject) return;
  await refreshList();
  choose(subject.id);
}

byId("add-subject").addEventListener("click", () => attempt(addSubject));
byId("find").addEventListener("input", showList);
addEventListener("popstate", () => {
  state.chosen = new URLSearchParams(location.search).get("subject") ?? "";
  showList();
  attempt(showPerson);
});
attempt(async () => {
  await refreshList();
  await showPerson();
});
