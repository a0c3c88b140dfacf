// What the machine saw and held back: listed with picture, time and reason; each can become an event.

import { byId, el, fill, formatTime } from "/static/app.js";
import { pictureUrl } from "./data.js";
import { showInPane } from "./tabs.js";
import { reasonWords } from "./words.js";

const NEW_EVENT_S = { before: 0.1, after: 0.15 };
const ENDS = 0.2; // share of the curve's height below which a movement has not begun, or is over
const RISES = 0.05; // by how much of its height the curve climbs again where another movement begins
const WIDER = 1.4; // than the curve's hump is the movement: the filters answer to its steep middle
const LONGEST_S = 1; // each way from the top

/**
 * Onset, apex and offset of a new event: of the held-back movement that the apex lies on, else to where
 * the curve has come down around it, else a fixed stretch. Blind, only the last: ends are the coder's own.
 */
export function stretchAround({ heldBack, rows, clock, blind, shown }, apex) {
  const around = {
    onset_frame: clock.clamp(apex - clock.span(NEW_EVENT_S.before)), apex_frame: apex,
    offset_frame: clock.clamp(apex + clock.span(NEW_EVENT_S.after)),
  };
  if (blind) return around;
  const held = heldBack.find(({ onset_frame: from, offset_frame: to }) => apex >= from && apex <= to);
  if (held) return { ...around, onset_frame: held.onset_frame, offset_frame: held.offset_frame };
  const score = rows?.get("score");
  if (!score) return around;
  const reach = clock.span(LONGEST_S);
  let top = apex; // of the hump that the frame lies on
  for (const step of [-1, 1]) while (Math.abs(top + step - apex) <= reach && score[top + step] > score[top]) top += step;
  const high = score[top];
  if (!(high >= shown.threshold)) return around; // nothing stands out of the noise here
  const end = (step) => {
    let lowest = top;
    for (let at = top; Math.abs(at - top) <= reach && score[at] >= ENDS * high && score[at] <= score[lowest] + RISES * high; at += step) {
      if (score[at] < score[lowest]) lowest = at;
    }
    return lowest;
  };
  const [onset, offset] = [end(-1), end(1)].map((foot) => clock.clamp(top + WIDER * (foot - top)));
  return { onset_frame: Math.min(apex, onset), apex_frame: apex, offset_frame: Math.max(apex, offset) };
}

/** How far it went, in words. */
export function sizeWords({ strength, size_px: pixels }) {
  return [Number.isFinite(strength) && `${strength.toFixed(1)} times this face’s own noise`, Number.isFinite(pixels) && `${pixels.toFixed(1)} px`].filter(Boolean).join(", ");
}

/** The list below the events. */
export class HeldList {
  constructor(model, player) {
    this.model = model;
    this.player = player;
    this.title = el("summary", {});
    this.list = el("ol", { class: "held-list" });
    this.root = el("details", { id: "held", class: "held" }, this.title,
      el("p", { class: "hint" }, "Movements that the machine saw and did not report, the strongest. ", el("kbd", {}, "h"), " steps through them; a class’s number makes the one looked at an event, with its own ends."), this.list);
    byId("events").after(this.root);
    for (const name of ["events", "machine"]) model.addEventListener(name, () => this.show());
    model.addEventListener("select", () => this.#mark());
    this.show();
  }

  show() {
    const { model } = this, { heldBack } = model;
    this.root.hidden = !heldBack.length;
    if (this.shown === heldBack) return this.#mark();
    this.shown = heldBack;
    fill(this.title, `Held back by the machine: ${heldBack.length} `, el("kbd", {}, "h"));
    this.buttons = heldBack.map((movement, k) => this.#button(movement, k));
    fill(this.list, this.buttons.map((button) => el("li", {}, button)));
    return this.#mark();
  }

  #button(movement, k) {
    const { model } = this;
    const choose = (click) => {
      model.selectHeld(k);
      if (click.detail) this.buttons[k].blur();
    };
    return el("button", { type: "button", class: "event held-one", onclick: choose, dataset: { held: k } },
      movement.picture && this.player.pictures && el("img", { src: pictureUrl(model.recording.id, `held-back/${k}`, "apex.jpg", model.coder), alt: "", loading: "lazy" }),
      el("span", { class: "what" }, reasonWords(movement.reason), el("small", {}, ` ${sizeWords(movement)}`)),
      el("span", { class: "when" }, formatTime(model.clock.time(movement.apex_frame))));
  }

  #mark() {
    const { held } = this.model;
    if (held !== null) this.root.open = true;
    for (const [k, button] of (this.buttons ?? []).entries()) {
      if (k !== held) button.removeAttribute("aria-current");
      else button.setAttribute("aria-current", "true");
    }
    if (this.buttons?.[held]) showInPane(this.buttons[held]);
  }
}
