// Which video belongs to which session: a table video,subject,session,condition,date. The server reads
// it (imports/assignments.py); here it is told from other files, and suggested from folders.

import { localDay } from "../app.js";

const COLUMNS = ["video", "subject", "session", "condition", "date"];
export const HEAD = COLUMNS.join(",");

/** Does a text look like such a table? */
export function looksLikeTable(text) {
  const names = text.replace(/^\ufeff/, "").split(/\r|\n/, 1)[0].toLowerCase().split(/[,;\t]/).map((name) => name.replaceAll('"', "").trim());
  return ["video", "subject"].every((name) => names.includes(name));
}

const quoted = (cell) => (/[",;\t]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** The table that folders suggest: the first below what all share is the subject, the next the session; the day is the file's. */
export function tableOfFolders(videos) {
  const folders = videos.map(({ path }) => path.split("/").slice(0, -1));
  let shared = 0;
  while (folders.every((own) => own.length > shared && own[shared] === folders[0][shared])) shared += 1;
  // All in one folder, or some beside the others' folders: its name is the subject.
  if (shared > 0 && shared === Math.min(...folders.map((own) => own.length))) shared -= 1;
  const rows = videos.map(({ path, file }, k) => {
    const [subject = "", ...session] = folders[k].slice(shared);
    const stem = path.split("/").pop().replace(/\.[^.]*$/, "");
    return [path, subject, session.join(" ") || stem, "", localDay(file.lastModified)].map(quoted).join(",");
  });
  return [HEAD, ...rows].join("\n");
}
