// Uploads, one after the other: the file as it is, as the body of one request.

import { ApiError, apiUrl, el, errorFrom, formatSize, offline, showLine } from "../app.js";

/** Sends one file; `progress(sent, total)` is called as it goes. Gives the recording. */
function send(file, query, progress, signal) {
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

/** One upload's line in the list. */
class Upload {
  control = new AbortController();
  bar = el("progress", { max: "1", value: 0 });
  words = el("small", { class: "number" });
  problem = el("p", { class: "problem", role: "alert", hidden: true });
  cancel = el("button", { class: "small", type: "button" });
  again = el("button", { class: "small", type: "button" }, "Try again");

  constructor(file, query) {
    this.file = file;
    this.query = query;
    this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
    this.node = el("li", { class: "row" },
      el("div", { class: "what" }, el("b", {}, file.name), el("small", {}, formatSize(file.size))),
      el("div", { class: "state" }, this.bar, this.words, this.problem),
      el("div", { class: "doings" }, this.again, this.cancel));
    this.show(null);
  }

  /** Waiting, or failed for a reason. What the server refused for what it is (4xx) it refuses again. */
  show(error) {
    const { status = 0, message = null } = error ?? {};
    this.bar.hidden = this.words.hidden = Boolean(error);
    this.again.hidden = !error || (status >= 400 && status < 500 && status !== 408);
    this.words.textContent = "waiting to be sent";
    this.cancel.textContent = error ? "Dismiss" : "Cancel";
    showLine(this.problem, message);
  }

  send() {
    return send(this.file, this.query, (sent, total) => {
      this.bar.value = total ? sent / total : 1;
      this.words.textContent = sent < total ? `sending, ${formatSize(sent)} of ${formatSize(total)}` : "sent, being checked";
    }, this.control.signal);
  }
}

/**
 * The queue of uploads, shown in `list`. `done(recording)` is called after each; files that fail
 * stay with their reason until they are dismissed or tried again.
 */
export class Uploads {
  waiting = [];
  busy = false;

  constructor(list, done) {
    this.list = list;
    this.done = done;
    // Leaving now would lose what is being sent; everything that arrived goes on by itself.
    addEventListener("beforeunload", (event) => { if (this.busy) event.preventDefault(); });
  }

  /** Adds a file with its parameters. */
  add(file, query) {
    const upload = new Upload(file, query);
    upload.cancel.addEventListener("click", () => {
      this.waiting = this.waiting.filter((other) => other !== upload);
      upload.control.abort();
      upload.node.remove();
    });
    upload.again.addEventListener("click", () => {
      upload.control = new AbortController();
      upload.show(null);
      this.#queue(upload);
    });
    this.list.append(upload.node);
    this.#queue(upload);
  }

  async #queue(upload) {
    this.waiting.push(upload);
    if (this.busy) return;
    this.busy = true;
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      try {
        const recording = await next.send();
        next.node.remove();
        this.done(recording);
      } catch (error) {
        next.show(error);
      }
    }
    this.busy = false;
  }
}
