// Uploads, one after the other: the file as it is, as the body of one request.

import { ApiError, apiUrl, el, errorFrom, formatSize, offline } from "../app.js";

/** Sends one file; `progress(sent, total)` is told as it goes. Gives the recording. */
export function send(file, query, { progress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", apiUrl("/recordings", { name: file.name, ...query }));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total || file.size));
    request.addEventListener("load", () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText));
      else reject(errorFrom(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(offline()));
    request.addEventListener("abort", () => reject(new ApiError(0, "cancelled", "upload cancelled")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function row(file) {
  const bar = el("progress", { max: "1", value: 0, "aria-label": `Upload of ${file.name}` });
  const words = el("small", { class: "number" }, "waiting to be sent");
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const cancel = el("button", { class: "small", type: "button" }, "Cancel");
  const again = el("button", { class: "small", type: "button", hidden: true }, "Try again");
  const node = el("li", { class: "row" },
    el("div", { class: "what" }, el("b", {}, file.name), el("small", {}, formatSize(file.size))),
    el("div", { class: "state" }, bar, words, problem),
    el("div", { class: "doings" }, again, cancel));
  return { node, bar, words, problem, cancel, again };
}

/**
 * The queue of uploads, shown in `list`. `done(recording)` is called after each; files that fail
 * stay with their reason until they are dismissed or tried again.
 */
export class Uploads {
  constructor(list, done) {
    this.list = list;
    this.done = done;
    this.waiting = [];
    this.busy = false;
    // Leaving now would lose what is being sent; everything that arrived goes on by itself.
    addEventListener("beforeunload", (event) => { if (this.busy) event.preventDefault(); });
  }

  /** Adds a file with its parameters. */
  add(file, query) {
    const entry = { file, query, row: row(file), control: new AbortController() };
    entry.row.cancel.addEventListener("click", () => this.#drop(entry));
    entry.row.again.addEventListener("click", () => this.#again(entry));
    this.list.append(entry.row.node);
    this.waiting.push(entry);
    this.#next();
  }

  #drop(entry) {
    this.waiting = this.waiting.filter((other) => other !== entry);
    entry.control.abort();
    entry.row.node.remove();
  }

  #again(entry) {
    entry.control = new AbortController();
    const { problem, again, bar, words, cancel } = entry.row;
    problem.hidden = again.hidden = true;
    bar.hidden = words.hidden = false;
    words.textContent = "waiting to be sent";
    cancel.textContent = "Cancel";
    this.waiting.push(entry);
    this.#next();
  }

  async #next() {
    if (this.busy || !this.waiting.length) return;
    const entry = this.waiting.shift();
    const { bar, words } = entry.row;
    const progress = (sent, total) => {
      bar.value = total ? sent / total : 1;
      words.textContent = sent < total
        ? `sending, ${formatSize(sent)} of ${formatSize(total)}` : "sent, being checked";
    };
    this.busy = true;
    try {
      const recording = await send(entry.file, entry.query, { progress, signal: entry.control.signal });
      entry.row.node.remove();
      this.done(recording);
    } catch (error) {
      this.#failed(entry, error);
    }
    this.busy = false;
    this.#next();
  }

  #failed(entry, error) {
    const { bar, words, problem, again, cancel } = entry.row;
    bar.hidden = words.hidden = true;
    problem.hidden = again.hidden = false;
    problem.textContent = error.message;
    cancel.textContent = "Dismiss";
  }
}
