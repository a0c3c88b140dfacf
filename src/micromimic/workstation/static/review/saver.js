// Changes go to the server one at a time, in order, each naming the decision it follows. One that
// cannot be saved is kept, in this browser too, and tried again; it is never dropped in silence.

import { ApiError, api, remember, rememberedJson } from "/static/app.js";
import { fetchHistory, fetchReview } from "./data.js";

const PATIENCE_MS = 20000;
const LONGEST_WAIT_S = 15;
const same = (a, b) => JSON.stringify(sorted(a ?? {})) === JSON.stringify(sorted(b ?? {}));
const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  return value && typeof value === "object" ? Object.fromEntries(Object.entries(value).sort().map(([name, one]) => [name, sorted(one)])) : value;
};

/**
 * Fires "change" (queue or state changed), "saved" ({change, review, before}), "refused" ({change, error}).
 * state: "idle", "saving", "waiting" (for the server), "conflict" (for the coder's word).
 */
export class Saver extends EventTarget {
  #timer = 0;
  #tries = 0;
  #running = false;
  queue = [];
  state = "idle";
  error = null;
  conflict = null;
  renamed = null;

  constructor(recordingId, coder, review) {
    super();
    this.id = recordingId;
    this.coder = coder;
    this.review = review;
    this.key = `unsaved.${recordingId}.${coder}`;
    addEventListener("online", () => this.retry());
  }

  /** Takes up what an earlier visit could not save. */
  async restore() {
    const kept = rememberedJson(this.key);
    if (!kept?.changes?.length) return;
    this.queue = kept.changes;
    if (this.queue[0].sent !== undefined) this.queue[0].lost = true;
    if (kept.base !== this.review.number) await this.#meetConflict().catch((error) => this.#wait(error));
    if (this.state === "idle") this.#run();
  }

  /** Puts a change in the queue: {action, event, payload}. */
  push(change) {
    this.queue.push({ payload: {}, event: "", ...change });
    this.#changed();
    this.#run();
  }

  /** Takes back the newest change that was not sent; null where there is none. */
  pop() {
    if (this.queue.length <= (this.#running ? 1 : 0) || this.state === "conflict") return null;
    if (this.queue.at(-1).sent !== undefined) return null; // it may have arrived: only the server knows
    const change = this.queue.pop();
    this.#changed();
    return change;
  }

  retry() {
    clearTimeout(this.#timer);
    if (this.state === "waiting") this.#run();
  }

  /** After a conflict: the coder's changes go on top of what is there now, or are given up. */
  settle(again) {
    if (this.state !== "conflict") return;
    this.conflict = null;
    if (!again) this.queue = [];
    this.#forgetSending();
    this.state = "idle";
    this.#changed();
    this.#run();
  }

  async #run() {
    if (this.#running || this.state === "conflict" || !this.queue.length) return;
    this.#running = true;
    clearTimeout(this.#timer);
    this.#become("saving");
    while (this.queue.length && this.state === "saving") await this.#sendFirst();
    this.#running = false;
    if (this.state === "saving") this.#become("idle");
  }

  async #sendFirst() {
    const change = this.queue[0];
    try {
      change.sent ??= this.review.number;
      this.#keep();
      this.#done(change, await this.#post(change));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 409) await this.#meetConflict(error).catch((again) => this.#wait(again));
      else if (error.status === 422 || error.status === 400 || error.status === 413) await this.#refuse(change, error);
      else this.#wait(error);
    }
  }

  #post({ action, event, payload, sent }) {
    const base = `/recordings/${this.id}`;
    const who = { coder: this.coder, expected: sent };
    const path = action === "undo" || action === "redo" ? `${base}/${action}` : `${base}/decisions`;
    const json = path.endsWith("decisions") ? { ...who, action, event: action === "add" ? "" : event, ...payload } : who;
    return api(path, { method: "POST", json, signal: AbortSignal.timeout(PATIENCE_MS) });
  }

  #done(change, review, key = `c${review.number}`) {
    const before = this.review;
    this.#tries = 0;
    this.queue.shift();
    this.review = review;
    if (change.action === "add") this.#rename(change.event, key);
    this.#keep();
    this.dispatchEvent(new CustomEvent("saved", { detail: { change, review, before } }));
    this.#say();
  }

  /** Changes that wait on a new event know it by a name of our own until the server gives one. */
  #rename(from, to) {
    for (const change of this.queue) if (change.event === from) change.event = to;
    this.renamed = { from, to };
  }

  async #refuse(change, error) {
    this.queue.shift();
    if (change.action === "add") this.queue = this.queue.filter((other) => other.event !== change.event);
    this.#keep();
    try {
      this.review = (await fetchReview(this.id, this.coder)).review;
    } catch (offline) {
      if (!(offline instanceof ApiError)) throw offline; // the next answer brings the review
    }
    this.dispatchEvent(new CustomEvent("refused", { detail: { change, error } }));
    this.#say();
  }

  #wait(error) {
    if (!(error instanceof ApiError)) throw error;
    if (this.queue[0].sent !== undefined) this.queue[0].lost = true;
    this.#tries += 1;
    const seconds = Math.min(LONGEST_WAIT_S, 2 ** (this.#tries - 1));
    this.error = error;
    this.#become("waiting");
    this.#timer = setTimeout(() => this.#run(), 1000 * seconds);
  }

  /** Somebody decided in between. Was it this very change, whose answer was lost? Else ask the coder. */
  async #meetConflict(error = null) {
    const [answer, history] = await Promise.all([fetchReview(this.id, this.coder), fetchHistory(this.id, this.coder)]);
    const first = this.queue[0];
    const base = first.sent ?? rememberedJson(this.key)?.base ?? 0;
    const news = history.filter((decision) => decision.number > base);
    if (first.lost && news.length && this.#isThis(news[0], first)) {
      const ours = news.shift();
      this.#forgetSending();
      this.#done(first, answer.review, ours.event);
      if (!news.length || !this.queue.length) return;
    }
    this.review = answer.review;
    this.conflict = { news, error };
    this.#become("conflict");
  }

  #forgetSending() {
    for (const change of this.queue) {
      delete change.sent;
      delete change.lost;
    }
  }

  #isThis(decision, change) {
    if (decision.action !== change.action) return false;
    if (change.action === "undo" || change.action === "redo") return true;
    return same(decision.payload, change.payload) && (change.action === "add" || decision.event === change.event);
  }

  #become(state) {
    this.state = state;
    if (state === "idle") this.error = null;
    this.#say();
  }

  #say() {
    this.dispatchEvent(new Event("change"));
  }

  #changed() {
    this.#keep();
    this.#say();
  }

  #keep() {
    const waiting = { base: this.queue[0]?.sent ?? this.review.number, changes: this.queue };
    remember(this.key, this.queue.length ? JSON.stringify(waiting) : "");
  }
}
