// Subjects, their sessions, and how a person's indicators change.

import { api, byId, coder, el, fill, formatDate, header, notice, plural, showError } from "./app.js";
import { consentLine, loadSessions, loadSubjects } from "./lib/records.js";
import { editSession, editSubject, forgetSubject, removeSession } from "./subjects/forms.js";
import { indicatorCard } from "./subjects/plot.js";

header("subjects");
const chosenIn = () => new URLSearchParams(location.search).get("subject") ?? "";
const state = { subjects: [], chosen: chosenIn(), run: 0 };

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
  let subject, sessions;
  try {
    [subject, sessions] = await Promise.all([api(`/subjects/${encodeURIComponent(state.chosen)}`), loadSessions(state.chosen)]);
  } catch (error) {
    return run === state.run && only({ class: "problem", role: "alert" }, error.message);
  }
  if (run !== state.run) return undefined;
  const trends = el("section", { class: "panel", id: "trends", "aria-labelledby": "trends-title" },
    el("h2", { id: "trends-title" }, "Indicators over sessions"), el("p", { class: "hint" }, "Loading."));
  fill(byId("person"), personPanel(subject, sessions), sessionsPanel(subject, sessions), trends);
  return attempt(() => showTrends(trends, run));
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

function sessionRow(subject, session) {
  const edit = async () => { if (await editSession(subject, session)) await changed(); };
  const remove = async () => { if (await removeSession(session)) await changed(); };
  const mark = () => api(`/sessions/${session.id}`, { method: "PATCH", json: { baseline: !session.baseline } }).then(changed);
  const name = `${session.title || "untitled"}, ${formatDate(session.held_on)}`, { given } = session.consent;
  return el("li", { class: "session", dataset: { session: session.id } },
    el("div", { class: "what" }, el("b", {}, session.title || "untitled"),
      el("small", {}, `${formatDate(session.held_on)} · ${plural(session.recordings, "recording")}`),
      el("small", { class: !given && "no-consent" }, given ? consentLine(session.consent) : "No consent noted: recordings cannot be added.")),
    el("div", { class: "doings" },
      button("Baseline", mark, { "aria-pressed": String(session.baseline), "aria-label": `Baseline: ${name}` }),
      button("Edit", edit, { "aria-label": `Edit ${name}` }),
      button("Remove", remove, { class: "small danger", "aria-label": `Remove ${name}` })));
}

function sessionsPanel(subject, sessions) {
  const add = async () => { if (await editSession(subject)) await changed(); };
  return el("section", { class: "panel", "aria-labelledby": "sessions-title" },
    el("div", { class: "bar" }, el("h2", { id: "sessions-title" }, "Sessions"), button("Add session", add, { class: "small push", id: "add-session" })),
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
  state.chosen = chosenIn();
  showList();
  attempt(showPerson);
});
attempt(changed);
