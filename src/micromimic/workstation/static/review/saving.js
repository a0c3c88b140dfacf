// The line that says what is not saved, and what somebody else decided in between.

import { byId, el, fill, plural, sentence } from "/static/app.js";
import { actionWords, clockTime } from "./words.js";

const HIDDEN_MS = 700; // a save that takes no longer is no news

export class SavingLine {
  #timer = 0;
  told = false;

  constructor(model) {
    this.model = model;
    this.root = byId("saving");
    model.saver.addEventListener("change", () => this.show());
    addEventListener("beforeunload", (event) => {
      if (model.saver.queue.length) event.preventDefault();
    });
    this.show();
  }

  show() {
    const { saver } = this.model;
    clearTimeout(this.#timer);
    const { undoable, redoable } = saver.review;
    byId("undo").disabled = undoable === null && !saver.queue.length;
    byId("redo").disabled = redoable === null && !this.model.redoable.length;
    byId("done").disabled = this.model.done || !this.model.complete;
    byId("done").firstChild.data = this.model.done ? "Watched it all " : "I have watched it all ";
    byId("saved").textContent = { idle: saver.review.number ? "saved" : "", saving: "saving", waiting: "not saved", conflict: "not saved" }[saver.state];
    byId("saved").dataset.state = saver.state;
    if (saver.state === "waiting") this.#waiting(saver);
    else if (saver.state === "conflict") this.#conflict(saver);
    else if (saver.state === "idle") this.root.hidden = true;
    else if (!this.root.hidden || saver.queue.length > 1) this.#timer = setTimeout(() => this.#slow(saver), HIDDEN_MS);
  }

  #put(kind, ...children) {
    fill(this.root, ...children);
    this.root.className = `note ${kind}`;
    this.root.hidden = false;
  }

  #slow(saver) {
    if (saver.state === "saving") this.#put("", el("p", {}, `Saving ${plural(saver.queue.length, "change")} …`));
  }

  #waiting(saver) {
    this.#put("warn", el("p", {}, el("b", {}, `${plural(saver.queue.length, "change")} not saved yet. `),
      `${sentence(saver.error.message)} Kept in this browser and tried again by itself.`),
      el("button", { type: "button", class: "small", onclick: () => saver.retry() }, "Try now"));
  }

  #conflict(saver) {
    const { news, error } = saver.conflict;
    const lines = news.map((entry) => el("li", {}, `${clockTime(entry.decided_at)} ${entry.coder}, in another window: ${actionWords(entry)}`));
    const mine = saver.queue.map((change) => actionWords(change)).join("; ");
    const again = el("button", { type: "button", class: "small primary", onclick: () => this.#settle(true) }, "Make my change again");
    const drop = el("button", { type: "button", class: "small", onclick: () => this.#settle(false) }, "Leave it");
    this.#put("warn", el("p", {}, el("b", {}, "This review was changed in another window. "), lines.length ? "" : error?.message ?? ""),
      lines.length > 0 && el("ul", {}, lines), el("p", {}, `Not saved: you ${mine}. What is there now is shown below.`),
      el("p", { class: "bar" }, again, drop));
    if (!this.told) {
      this.model.select(saver.queue[0].event); // the page may have gone on to the next one
      this.model.say("Not saved: this review was changed in another window.", true);
    }
    this.told = true;
  }

  #settle(again) {
    this.told = false;
    this.model.say("");
    this.model.saver.settle(again);
    this.model.dispatchEvent(new Event("saved")); // the trail is read again
  }
}
