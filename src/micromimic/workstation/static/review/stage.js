// The video with what is laid over it; the numbers' own drawing where the video is gone.

import { byId, inNextFrame, setWords, sharp } from "/static/app.js";
import { drawLandmarks, drawLayers, flowGain, ontoCanvas } from "/static/viewer/face.js";
import { eventName } from "./words.js";

const LANDMARKS = "rgb(196, 208, 218)"; // the stage is dark in both themes

export class Stage {
  constructor(model, player) {
    this.model = model;
    this.player = player;
    this.box = byId("stage");
    this.canvas = byId("overlay");
    const { proxy, width, height } = model.shown;
    this.box.style.setProperty("--ratio", String((proxy?.width ?? width) / (proxy?.height ?? height)));
    const redraw = inNextFrame(() => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.box);
    for (const name of ["select", "layers", "events"]) model.addEventListener(name, redraw);
    player.addEventListener("frame", redraw);
  }

  #draw() {
    const { model, player } = this;
    const { context: c, width } = sharp(this.canvas);
    const frame = player.shown;
    const segment = model.shown.segments?.[model.rows?.segment(frame)];
    const own = model.rows?.transform(frame);
    this.#caption(Boolean(own));
    if (!own || !segment) return;
    const transform = ontoCanvas(own, width / model.shown.width);
    if (!player.pictures) drawLandmarks(c, segment.landmarks, transform, LANDMARKS);
    drawLayers(c, model.layers, transform, { ...this.#within(frame), cells: segment.cells });
  }

  /** Flow and votes belong to one movement: elsewhere in the video they would show what is not there. */
  #within(frame) {
    const { looked: event } = this.model, evidence = this.model.evidence();
    if (!evidence) return null;
    const { onset_frame: onset, offset_frame: offset } = event.machine ?? event;
    return frame >= Math.min(event.onset_frame, onset) && frame <= Math.max(event.offset_frame, offset) ? evidence : null;
  }

  #caption(found) {
    const { model } = this;
    const { cells, flow, votes } = model.layers;
    const words = [];
    if (!model.rows) words.push("The numbers of each frame are gone.");
    else if (!found) words.push("No face found on this frame.");
    const evidence = model.evidence(), event = model.looked;
    if (cells && found) words.push("Squares: the ten face regions.");
    if ((flow || votes) && !evidence) words.push(event ? (this.model.evidenceLine() || "m has the flow of what the machine did not report made.") : "Flow, and where the class comes from, belong to an event: choose one.");
    else if ((flow || votes) && !this.#within(this.player.shown)) words.push(`Flow${event.key ? ` of event ${eventName(event.key)}` : ""}, and where the class comes from, are shown between onset and offset.`);
    else {
      if (flow) words.push(`Arrows: motion from ${event.machine ? "the machine’s" : "your"} onset to the apex, drawn ${flowGain(evidence.flow).gain} × longer.`);
      if (votes) words.push(evidence.votes ? `Warmer: more of what speaks for ${(event.machine ?? evidence.machine).label}.` : "This model does not say where the class comes from.");
    }
    setWords(byId("stage-note"), words.join(" "));
  }
}
