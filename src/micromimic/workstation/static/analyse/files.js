// Files and whole folders, dropped or chosen: each with its path below what was dropped.

const VIDEO = /\.(mp4|m4v|mov|avi|mkv|webm|mpg|mpeg|wmv|mts|m2ts|ts|3gp|mxf|ogv|flv)$/i;
const TABLE = /\.(csv|tsv|txt|xlsx?|ods)$/i;

/** A table that is no text: its cells can be pasted. */
export const isWorkbook = (path) => /\.(xlsx?|ods)$/i.test(path);

/** @typedef {{file: File, path: string}} Found */

/** Every entry of a folder: a browser gives them in portions. @param {any} folder @returns {Promise<any[]>} */
async function inside(folder) {
  const reader = folder.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    found.push(...some);
  }
}

/** @param {any} entry @returns {Promise<Found[]>} */
async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.slice(1) }];
  }
  const found = [];
  for (const own of await inside(entry)) found.push(...(await walk(own)));
  return found;
}

/** What a drop brought. Its entries are taken at once: they are gone after the event. @param {DataTransfer} transfer */
export function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  return Promise.all(entries.map((entry) => walk(entry))).then((found) => found.flat());
}

/** What a field for files or a folder holds. @param {HTMLInputElement} field @returns {Found[]} */
export const chosen = (field) => [...field.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

const hidden = (path) => path.split("/").some((part) => part.startsWith("."));

/**
 * Videos, tables, and how many other files of folders are left out. A file that was named by itself is
 * taken for a video whatever it is called: the server looks at what it holds.
 * @param {Found[]} found
 */
export function sorted(found) {
  const tables = found.filter(({ path }) => TABLE.test(path) && !hidden(path));
  const videos = found.filter((one) => !tables.includes(one) && (!one.path.includes("/") || (VIDEO.test(one.path) && !hidden(one.path))));
  videos.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
  return { videos, tables, others: found.length - videos.length - tables.length };
}
