// The face as it was beside the face with its motion magnified: two short clips with the same frames.
// They follow the frame that the video shows, so there is one playhead and nothing to set twice. Two
// videos that play by themselves drift apart; these are sought frame by frame and drawn together, when
// both have the frame: slower machines show fewer frames, never two different ones.

import { byId, setWords } from "/static/app.js";
import { pictureUrl } from "./data.js";

const CLIPS = ["face", "magnified"];

/** A clip that is never shown itself: its frames are drawn onto a canvas. */
class Clip {
  constructor(canvas, failed) {
    this.canvas = canvas;
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true, preload: "auto" });
    this.video.addEventListener("error", () => this.video.getAttribute("src") && failed());
  }

  open(url) {
    if (url) this.video.src = url;
    else this.video.removeAttribute("src");
    this.video.load();
  }

  /** Resolves when the frame at a time can be drawn. */
  seek(time) {
    return new Promise((resolve) => {
      this.video.addEventListener("seeked", resolve, { once: true });
      this.video.currentTime = time;
    });
  }

  get ready() {
    return this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  }

  draw() {
    const { video, canvas } = this;
    if (canvas.width !== video.videoWidth) canvas.width = video.videoWidth;
    if (canvas.height !== video.videoHeight) canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
  }
}

/** Gives what opens and closes it. */
export function pair(model, player) {
  const root = byId("pair"), note = byId("pair-note");
  const clips = CLIPS.map((name) => new Clip(root.querySelector(`[data-clip=${name}]`), () => { note.textContent = "The magnified clip cannot be played; the video can."; }));
  let busy = false, opened = 0, open = false, evidence = null, drawn = null;

  const ready = () => clips.every((clip) => clip.ready);

  /** Draws the frame that the video shows; outside the clips their nearest one. */
  async function follow() {
    if (busy || !open || !ready()) return;
    busy = true;
    const now = opened;
    for (let frame = wanted(); frame !== drawn && open; frame = wanted()) {
      const time = (frame + 0.5) / evidence.clip.fps;
      await Promise.all(clips.map((clip) => clip.seek(time)));
      if (now !== opened) return; // other clips were opened meanwhile, which are followed by themselves
      for (const clip of clips) clip.draw();
      drawn = frame;
      setWords(note, words());
      root.dataset.frame = String(frame);
    }
    busy = false;
  }

  function wanted() {
    if (!evidence) return drawn;
    const { first_frame: first, frames } = evidence.clip;
    return Math.max(0, Math.min(frames - 1, player.shown - first));
  }

  function load() {
    if (!open) return;
    const found = player.pictures ? model.evidence() : null;
    if (model.canMake && !model.evidenceLine()) model.askEvidence();
    root.classList.toggle("empty", !found);
    if (found && found.folder === evidence?.folder) return void follow();
    evidence = found;
    drawn = null;
    opened += 1;
    busy = false;
    for (const [k, clip] of clips.entries()) clip.open(evidence && pictureUrl(model.recording.id, evidence.folder, `${CLIPS[k]}.mp4`, model.coder));
    note.textContent = words();
    return undefined;
  }

  function words() {
    if (evidence && drawn === null) return "The magnified clip is being made …";
    if (evidence) {
      const { factor } = evidence.clip;
      return `Left as it was, right with the motion since the onset magnified${factor ? ` ${Number(factor.toFixed(1))} ×` : ""}; both at the video’s frame.`;
    }
    if (!player.pictures) return "The pictures were removed with the video.";
    return model.looked ? model.evidenceLine() : "Choose an event to see its motion magnified.";
  }

  for (const { video } of clips) video.addEventListener("loadeddata", follow);
  model.on("select evidence machine saved", load);
  player.addEventListener("frame", follow);
  return function show(on) {
    open = on;
    root.hidden = !on;
    root.parentElement.classList.toggle("magnifying", on);
    load();
  };
}
