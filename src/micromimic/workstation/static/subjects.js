// Subjects, their sessions, and how a person's indicators change.

import { api, byId, coder, el, fill, formatDate, header, notice, plural, showError, term } from "./app.js";
import { consentLine, loadRecordings, loadSessions, loadSubjects, sessionName } from "./lib/records.js";
import { editSession, editSubject, forgetSubject, removeSession } from "./lib/subjects.js";
import { indicatorCard } from "./subjects/plot.js";

header("subjects");
const chosenIn = () => new URLSearchParams(location.search).get("subject") ?? "";
const state = { subjects: [], chosen: chosenIn(), run: 0, reviewer: "" };

const attempt = (what) => what().catch(showError);

/** A small button; what goes wrong with what it does is told in the corner. */
const button = (words, act, props = {}) => el("button", { class: "small", type: "button", onclick: () => attempt(act), ...props }, words);

/* The list */

function showList() {
  const wanted = byId("find").value.trim().toLowerCase();
  const shown = state.subjects.filter((s) => s.code.toLowerCase().includes(wanted));
  fill(byId("subjects"), shown.map((subject) => el("li", {},
    el("a", {
      href: `?subject=${encodeURIComponent(subject.id)}`, "aria-current": subject.id === state.chosen && "true",
      onclick: (event) => {
        event.preventDefault();
        choose(subject.id);
      },
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

async function showPerson() {
  const run = ++state.run;
  const only = (props, words) => fill(byId("person"), el("section", { class: "panel" }, el("p", props, words)));
  if (!state.chosen) return only({ class: "empty" }, "Choose a subject to see sessions and how its indicators change.");
  let subject, sessions, recordings;
  try {
    [subject, sessions, recordings] = await Promise.all([
      api(`/subjects/${encodeURIComponent(state.chosen)}`), loadSessions(state.chosen), loadRecordings({ subject_id: state.chosen }),
    ]);
  } catch (error) {
    return run === state.run && only({ class: "problem", role: "alert" }, error.message);
  }
  if (run !== state.run) return undefined;
  const trends = el("div", {}, el("p", { class: "hint" }, "Loading."));
  const show = () => attempt(() => showTrends(trends, sessions, run));
  fill(byId("person"), personPanel(subject, sessions), sessionsPanel(subject, sessions, recordings), trendsPanel(recordings, trends, show));
  return show();
}

function personPanel(subject, sessions) {
  const edit = async () => { if (await editSubject(subject)) await changed(); };
  const forget = async () => {
    const counts = await forgetSubject(subject, sessions);
    if (!counts) return;
    const gone = Object.entries(counts).filter(([, count]) => count > 0).map(([what, count]) => `${what.replaceAll("_", " ")} ${count}`);
    notice(`${subject.code} is forgotten: ${gone.join(", ") || "nothing was left"}.`);
    choose("");
    await refreshList();
  };
  return el("section", { class: "panel", "aria-labelledby": "person-title" },
    el("div", { class: "bar" }, el("h2", { id: "person-title" }, subject.code), el("small", {}, `since ${formatDate(subject.created_at)}`),
      button("Edit", edit, { class: "small push" }),
      button("Forget", forget, { class: "small danger", id: "forget", "aria-label": `Forget ${subject.code}` })),
    subject.note && el("p", { class: "person-note" }, subject.note));
}

/** What came of a recording, and how far each coder is with it. */
function recordingLine({ id, name, job, events, progress }) {
  const done = job?.status === "done";
  const coders = progress.map((one) => (one.done ? `${one.coder} done` : `${one.coder} ${one.decided} of ${one.candidates}`));
  const words = done ? [plural(events, "candidate"), coders.join(", ") || "not reviewed yet"].join(" · ") : (job?.status ?? "not analysed");
  return el("li", {}, done ? el("a", { href: `/review?recording=${encodeURIComponent(id)}`, "aria-label": `Review ${name}` }, name) : el("span", {}, name), " ", el("small", {}, words));
}

function sessionRow(subject, session, recordings) {
  const edit = async () => { if (await editSession(subject, session)) await changed(); };
  const remove = async () => { if (await removeSession(session)) await changed(); };
  const mark = () => api(`/sessions/${session.id}`, { method: "PATCH", json: { baseline: !session.baseline } }).then(changed);
  const name = sessionName(session), { given } = session.consent;
  return el("li", { class: "session", dataset: { session: session.id } },
    el("div", { class: "what" }, el("b", {}, name),
      el("small", {}, session.condition && session.title && `${session.title} · `, plural(session.recordings, "recording")),
      el("small", { class: !given && "no-consent" }, given ? consentLine(session.consent) : "No consent noted: recordings cannot be added."),
      recordings.length > 0 && el("ul", { class: "recordings", "aria-label": `Recordings of ${name}` }, recordings.map(recordingLine))),
    el("div", { class: "doings" },
      button("Baseline", mark, { "aria-pressed": String(session.baseline), "aria-label": `Baseline: ${name}` }),
      button("Edit", edit, { "aria-label": `Edit ${name}` }),
      button("Remove", remove, { class: "small danger", "aria-label": `Remove ${name}` })));
}

function sessionsPanel(subject, sessions, recordings) {
  const add = async () => { if (await editSession(subject)) await changed(); };
  return el("section", { class: "panel", "aria-labelledby": "sessions-title" },
    el("div", { class: "bar" }, el("h2", { id: "sessions-title" }, "Sessions"), button("Add session", add, { class: "small push", id: "add-session" })),
    sessions.length
      ? el("ul", { class: "rows" }, sessions.map((session) => sessionRow(subject, session, recordings.filter((r) => r.session_id === session.id))))
      : el("p", { class: "empty" }, "No sessions yet. A session holds the consent for its recordings; mark one at rest as baseline."));
}

/** Indicators, and whose finished reviews stand beside the machine's. */
function trendsPanel(recordings, place, show) {
  const coders = [...new Set(recordings.flatMap((r) => r.progress.filter((one) => one.done).map((one) => one.coder)))].sort();
  if (!coders.includes(state.reviewer)) state.reviewer = "";
  const choose = el("select", { id: "reviewer", class: "inline", onchange: (event) => { state.reviewer = event.target.value; show(); } },
    el("option", { value: "" }, "whoever has finished most"), coders.map((name) => el("option", { value: name, selected: name === state.reviewer }, name)));
  return el("section", { class: "panel", id: "trends", "aria-labelledby": "trends-title" },
    el("div", { class: "bar" }, el("h2", { id: "trends-title" }, "Indicators over sessions"),
      coders.length > 0 && el("span", { class: "reviewer push" }, el("label", { for: "reviewer" }, "Reviews of"), choose)),
    place);
}

async function showTrends(place, sessions, run) {
  const found = await api(`/subjects/${encodeURIComponent(state.chosen)}/trends`, { query: { coder: state.reviewer, reader: coder() } });
  if (run !== state.run) return;
  const { statements } = await api("/info");
  const known = new Map(sessions.map((session) => [session.id, session]));
  const filled = (s) => known.get(s.session_id)?.recordings > 0;
  for (const indicator of found.indicators) {
    indicator.sessions = indicator.sessions.filter(filled).map((s) => ({ ...s, ...known.get(s.session_id) }));
  }
  const empty = sessions.filter((session) => !session.recordings).length;
  const measured = found.indicators.some((i) => i.sessions.some((s) => s.value !== null));
  fill(place,
    el("p", { class: "hint" }, found.note),
    empty > 0 && el("p", { class: "hint" }, `${plural(empty, "session")} without recordings ${empty === 1 ? "is" : "are"} left out.`),
    measured && el("ul", { class: "legend" },
      el("li", {}, el("span", { class: "ring" }), term("baseline")),
      el("li", {}, el("span", { class: "dot" }), "session, with its 95 % ", term("confidence interval", "interval")),
      el("li", {}, el("span", { class: "line" }), "interval alone: fewer than five events"),
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
  state.chosen = chosenIn();
  showList();
  attempt(showPerson);
});
attempt(changed);
