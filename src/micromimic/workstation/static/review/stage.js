// The video with what is laid over it; the numbers' own drawing where the video is gone.

import { byId, inNextFrame, setWords, sharp } from "/static/app.js";
import { drawLandmarks, drawLayers, flowGain, ontoCanvas } from "/static/viewer/face.js";
import { eventName } from "./words.js";

const LANDMARKS = "rgb(196, 208, 218)"; // the stage is dark in both themes

/** Draws the layers that are switched on, and says below what they show. */
export function stage(model, player) {
  const { proxy, width: across, height } = model.shown;
  byId("stage").style.setProperty("--ratio", String((proxy?.width ?? across) / (proxy?.height ?? height)));

  function draw() {
    const { context: c, width } = sharp(byId("overlay"));
    const segment = model.shown.segments?.[model.rows?.segment(player.shown)];
    const own = model.rows?.transform(player.shown);
    const evidence = model.evidence(), within = evidence && isWithin() ? evidence : null;
    setWords(byId("stage-note"), caption(Boolean(own), evidence, within).join(" "));
    if (!own || !segment) return;
    const transform = ontoCanvas(own, width / model.shown.width);
    if (!player.pictures) drawLandmarks(c, segment.landmarks, transform, LANDMARKS);
    drawLayers(c, model.layers, transform, { ...within, cells: segment.cells });
  }

  /** Flow and votes belong to one movement: elsewhere in the video they would show what is not there. */
  function isWithin() {
    const event = model.looked, { onset_frame: onset, offset_frame: offset } = event.machine ?? event;
    return player.shown >= Math.min(event.onset_frame, onset) && player.shown <= Math.max(event.offset_frame, offset);
  }

  function caption(found, evidence, within) {
    const { cells, flow, votes } = model.layers, event = model.looked;
    const words = [];
    if (!model.rows) words.push("The numbers of each frame are gone.");
    else if (!found) words.push("No face found on this frame.");
    if (cells && found) words.push("Squares: the ten face regions.");
    if ((flow || votes) && !evidence) words.push(event ? (model.evidenceLine() || "m has the flow of what the machine did not report made.") : "Flow, and where the class comes from, belong to an event: choose one.");
    else if ((flow || votes) && !within) words.push(`Flow${event.key ? ` of event ${eventName(event.key)}` : ""}, and where the class comes from, are shown between onset and offset.`);
    else {
      if (flow) words.push(`Arrows: motion from ${event.machine ? "the machine’s" : "your"} onset to the apex, drawn ${flowGain(evidence.flow).gain} × longer.`);
      if (votes) words.push(evidence.votes ? `Warmer: more of what speaks for ${(event.machine ?? evidence.machine).label}.` : "This model does not say where the class comes from.");
    }
    return words;
  }

  const redraw = inNextFrame(draw);
  new ResizeObserver(draw).observe(byId("stage"));
  model.on("select layers events", redraw);
  player.addEventListener("frame", redraw);
}
