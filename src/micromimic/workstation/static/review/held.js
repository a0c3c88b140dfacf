// What the machine saw and held back: listed with picture, time and reason; each can become an event.

import { byId, el, fill, formatTime } from "/static/app.js";
import { pressing } from "./choices.js";
import { pictureUrl } from "./data.js";
import { markChosen } from "./tabs.js";
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

function heldButton(movement, k, model, pictures) {
  return el("button", { type: "button", class: "event held-one", onclick: pressing(() => model.selectHeld(k)), dataset: { held: k } },
    movement.picture && pictures && el("img", { src: pictureUrl(model.recording.id, `held-back/${k}`, "apex.jpg", model.coder), alt: "", loading: "lazy" }),
    el("span", { class: "what" }, reasonWords(movement.reason), el("small", {}, ` ${sizeWords(movement)}`)),
    el("span", { class: "when" }, formatTime(model.clock.time(movement.apex_frame))));
}

export function heldList(model, player) {
  const root = byId("held");
  let shown = null, buttons = new Map();

  function mark() {
    if (model.held !== null) root.open = true;
    markChosen(buttons, model.held);
  }
  function show() {
    const { heldBack } = model;
    root.hidden = !heldBack.length;
    if (shown !== heldBack) {
      shown = heldBack;
      byId("held-count").textContent = heldBack.length;
      buttons = new Map(heldBack.map((movement, k) => [k, heldButton(movement, k, model, player.pictures)]));
      fill(byId("held-list"), [...buttons.values()].map((button) => el("li", {}, button)));
    }
    mark();
  }

  model.on("events machine", show);
  model.on("select", mark);
  show();
}
