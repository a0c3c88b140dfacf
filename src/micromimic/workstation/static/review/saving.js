// The line that says what is not saved, and what somebody else decided in between.

import { byId, el, fill, plural, sentence } from "/static/app.js";
import { actionWords, clockTime } from "./words.js";

const HIDDEN_MS = 700; // a save that takes no longer is no news

export function savingLine(model) {
  const { saver } = model, root = byId("saving");
  let timer = 0, announced = false;

  function show() {
    clearTimeout(timer);
    const { undoable, redoable, number } = saver.review;
    byId("undo").disabled = undoable === null && !saver.queue.length;
    byId("redo").disabled = redoable === null && !model.redoable.length;
    byId("done").disabled = model.done || !model.complete;
    byId("done").firstChild.data = model.done ? "Watched it all " : "I have watched it all ";
    byId("saved").textContent = { idle: number ? "saved" : "", saving: "saving", waiting: "not saved", conflict: "not saved" }[saver.state];
    byId("saved").dataset.state = saver.state;
    if (saver.state === "waiting") waiting();
    else if (saver.state === "conflict") conflict();
    else if (saver.state === "idle") root.hidden = true;
    else if (!root.hidden || saver.queue.length > 1) timer = setTimeout(slow, HIDDEN_MS);
  }

  function put(kind, ...children) {
    fill(root, ...children);
    root.className = `note ${kind}`;
    root.hidden = false;
  }

  function slow() {
    if (saver.state === "saving") put("", el("p", {}, `Saving ${plural(saver.queue.length, "change")} …`));
  }

  function waiting() {
    put("warn", el("p", {}, el("b", {}, `${plural(saver.queue.length, "change")} not saved yet. `),
      `${sentence(saver.error.message)} Kept in this browser and tried again by itself.`),
      el("button", { type: "button", class: "small", onclick: () => saver.retry() }, "Try now"));
  }

  function conflict() {
    const { news, error } = saver.conflict;
    const lines = news.map((entry) => el("li", {}, `${clockTime(entry.decided_at)} ${entry.coder}, in another window: ${actionWords(entry)}`));
    const mine = saver.queue.map((change) => actionWords(change)).join("; ");
    const again = el("button", { type: "button", class: "small primary", onclick: () => settle(true) }, "Make my change again");
    const drop = el("button", { type: "button", class: "small", onclick: () => settle(false) }, "Leave it");
    put("warn", el("p", {}, el("b", {}, "This review was changed in another window. "), lines.length ? "" : error?.message ?? ""),
      lines.length > 0 && el("ul", {}, lines), el("p", {}, `Not saved: you ${mine}. What is there now is shown below.`),
      el("p", { class: "bar" }, again, drop));
    if (!announced) {
      model.select(saver.queue[0].event); // the page may have gone on to the next one
      model.say("Not saved: this review was changed in another window.", true);
    }
    announced = true;
  }

  function settle(again) {
    announced = false;
    model.say("");
    saver.settle(again);
    model.dispatchEvent(new Event("saved")); // the trail is read again
  }

  saver.addEventListener("change", show);
  addEventListener("beforeunload", (event) => {
    if (saver.queue.length) event.preventDefault();
  });
  show();
}
