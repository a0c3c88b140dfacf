// Which video belongs to which session: a table video,subject,session,condition,date, read and checked.

import { sessionName } from "../lib/records.js";

const COLUMNS = ["video", "subject", "session", "condition", "date"];
export const HEAD = COLUMNS.join(",");

/** A table's cells: commas, semicolons or tabs, as the first line has them; quotes as spreadsheets write them. */
function cells(text) {
  const first = text.slice(0, text.search(/\r|\n|$/));
  const mark = ["\t", ";"].find((one) => first.includes(one)) ?? ",";
  const rows = [[""]];
  let quoted = false;
  for (let k = 0; k < text.length; k += 1) {
    const at = text[k], row = rows[rows.length - 1];
    if (quoted && at === '"' && text[k + 1] === '"') { row[row.length - 1] += at; k += 1; }
    else if (at === '"' && (quoted || !row[row.length - 1].trim())) quoted = !quoted;
    else if (!quoted && at === mark) row.push("");
    else if (!quoted && (at === "\n" || at === "\r")) { if (at === "\n" || text[k + 1] !== "\n") rows.push([""]); }
    else row[row.length - 1] += at;
  }
  return rows.map((row) => row.map((cell) => cell.trim()));
}

const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text) && new Date(`${text}T00:00:00Z`).toJSON()?.slice(0, 10) === text;

/** 20.11.2026 as 2026-11-20; anything else as it is. */
const isoDay = (text) => text.replace(/^(\d{1,2})\.(\d{1,2})\.(\d{4})$/, (_, day, month, year) => `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`);

/** What is wrong with a row by itself, or null. */
function fault({ line, video, subject, session, condition, date }) {
  if (!video) return `row ${line}: expected the name of a video, got nothing; fill it in`;
  if (!subject) return `row ${line}: expected the code of a subject, got nothing; fill it in`;
  if (!session && !condition) return `row ${line}: expected a session or a condition, got neither; fill one in`;
  if (date && !isDay(date)) return `row ${line}: expected a date such as 2026-11-20 or 20.11.2026, got ${date}; correct it`;
  return null;
}

/** Does a text look like such a table? */
export function looksLikeTable(text) {
  const [head] = cells(text.replace(/^\ufeff/, "").split(/\r|\n/, 1)[0].toLowerCase());
  return ["video", "subject"].every((name) => head.includes(name));
}

/** Rows {line, video, subject, session, condition, date} of a table, and what is wrong with it, a line each. */
export function parseTable(text) {
  const [head, ...rest] = cells(text.replace(/^\ufeff/, ""));
  const names = head.map((name) => name.toLowerCase());
  const problems = [];
  if (text.includes("\ufffd")) problems.push("expected a table in UTF-8, got other bytes; save it as CSV UTF-8");
  for (const name of names) if (!COLUMNS.includes(name)) problems.push(`expected the columns ${COLUMNS.join(", ")}, got ${name || "one without a name"}; rename or remove it`);
  for (const name of names.filter((one, k) => names.indexOf(one) < k)) problems.push(`expected the column ${name} once, got it twice; remove one`);
  for (const name of ["video", "subject"]) if (!names.includes(name)) problems.push(`expected a column ${name}, got none; the first line is ${HEAD}`);
  if (problems.length) return { rows: [], problems };
  const rows = rest.flatMap((row, k) => {
    if (row.every((cell) => !cell)) return [];
    const line = k + 2;
    if (row.length > names.length) problems.push(`row ${line}: expected ${names.length} cells, got ${row.length}; quote what holds a comma`);
    const [video, subject, session, condition, date] = COLUMNS.map((name) => row[names.indexOf(name)] ?? "");
    return [{ line, video: video.replaceAll("\\", "/").replace(/^\.?\//, ""), subject, session, condition, date: isoDay(date) }];
  });
  problems.push(...rows.map(fault).filter(Boolean));
  return { rows, problems };
}

/** Which staged video a row names: by its path, or by as much of its end as tells it from the others. */
function videoOf(row, staged, problems) {
  const fits = staged.filter(({ path }) => path === row.video || path.endsWith(`/${row.video}`) || row.video.endsWith(`/${path}`));
  if (fits.length === 1) return fits[0];
  problems.push(fits.length
    ? `row ${row.line}: expected one video ${row.video}, got ${fits.length}: ${fits.map(({ path }) => path).join(", ")}; write its folder too`
    : `row ${row.line}: expected a chosen video, got ${row.video}, which is not among them; add it, or remove the row`);
  return null;
}

/** Rows of one subject and session, or of one condition where no session is named, are of one sitting. */
const sittingOf = ({ subject, session, condition }) => JSON.stringify([subject, session || condition, Boolean(session)]);

/** What the rows of one sitting say of it together: one condition and one day. */
function sittings(rows, problems) {
  const found = new Map();
  for (const row of rows) {
    const key = sittingOf(row), first = found.get(key) ?? { ...row };
    for (const what of ["condition", "date"]) {
      first[what] ||= row[what];
      if (row[what] && row[what] !== first[what]) problems.push(`row ${row.line}: expected one ${what} for ${row.subject}, ${row.session || row.condition}, got ${first[what]} and ${row[what]}; give the sessions different names`);
    }
    found.set(key, first);
  }
  return found;
}

/** The session of a sitting: one that is here, or one to be made. */
function sessionOf({ line, subject, session, condition, date }, sessions, problems) {
  const own = sessions.filter((s) => s.subject_code === subject && s.title === session && (!date || s.held_on === date));
  const fits = session ? own : own.filter((s) => s.condition === condition);
  const [found] = fits;
  if (fits.length > 1) problems.push(`row ${line}: expected one session, got ${fits.length} that fit: ${fits.map(sessionName).join(", ")}; give its date`);
  else if (!found && !date) problems.push(`row ${line}: expected the date of the new session ${session || condition} of ${subject}, got nothing; fill it in`);
  else if (!found) return { id: null, subject_code: subject, title: session, condition, held_on: date };
  else if (!found.consent.given) problems.push(`row ${line}: expected a session with consent, got ${sessionName(found)} without; note it on the page Subjects`);
  else if (condition && found.condition !== condition) problems.push(`row ${line}: expected the condition ${found.condition || "(none)"} of ${sessionName(found)} as it is noted, got ${condition}; change the session or the table`);
  return found ?? null;
}

/**
 * What a table does with the staged videos: {problems, of, made, subjects}. `of` is the session of each
 * video that the table names; `made` the sessions and `subjects` the codes that are to be added for it.
 */
export function assign(text, staged, sessions, codes) {
  const { rows, problems } = parseTable(text);
  const of = new Map(), known = new Map();
  if (problems.length) return { problems, of, made: [], subjects: [] };
  for (const [key, sitting] of sittings(rows, problems)) known.set(key, sessionOf(sitting, sessions, problems));
  for (const row of rows) {
    const video = videoOf(row, staged, problems), session = known.get(sittingOf(row));
    if (video && of.has(video)) problems.push(`row ${row.line}: expected one row for ${video.path}, got a second; remove one`);
    else if (video && session) of.set(video, session);
  }
  const made = [...known.values()].filter((session) => session && session.id === null);
  const subjects = [...new Set(made.map((session) => session.subject_code))].filter((code) => !codes.includes(code));
  return { problems, of, made, subjects };
}

const quoted = (cell) => (/[",;\t]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
const day = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 10);

/** The table that folders suggest: the first below what all share is the subject, the next the session; the day is the file's. */
export function tableOfFolders(staged) {
  const folders = staged.map(({ path }) => path.split("/").slice(0, -1));
  let shared = 0;
  while (folders.every((own) => own.length > shared && own[shared] === folders[0][shared])) shared += 1;
  const least = Math.min(...folders.map((own) => own.length));
  if (shared === least && shared > 0) shared -= 1; // all in one folder, or some beside the others: its name is the subject
  const rows = staged.map(({ path, file }, k) => {
    const [subject = "", ...session] = folders[k].slice(shared);
    const stem = path.split("/").pop().replace(/\.[^.]*$/, "");
    return [path, subject, session.join(" ") || stem, "", day(file.lastModified)].map(quoted).join(",");
  });
  return [HEAD, ...rows].join("\n");
}
