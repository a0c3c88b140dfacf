// The face as it was beside the face with its motion magnified: two short clips with the same frames.
// They follow the frame that the video shows, so there is one playhead and nothing to set twice. Two
// videos that play by themselves drift apart; these are sought frame by frame and drawn together, when
// both have the frame: slower machines show fewer frames, never two different ones.

import { byId } from "/static/app.js";
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

export class Pair {
  #busy = false;
  #turn = 0;
  open = false;
  evidence = null;
  drawn = null;

  constructor(model, player) {
    this.model = model;
    this.player = player;
    this.root = byId("pair");
    this.note = byId("pair-note");
    this.clips = CLIPS.map((name) => new Clip(this.root.querySelector(`[data-clip=${name}]`), () => this.#failed()));
    for (const { video } of this.clips) video.addEventListener("loadeddata", () => this.#loaded());
    for (const name of ["select", "evidence", "machine", "saved"]) model.addEventListener(name, () => this.#load());
    player.addEventListener("frame", () => this.follow());
  }

  show(on) {
    this.open = on;
    this.root.hidden = !on;
    this.root.parentElement.classList.toggle("magnifying", on);
    this.#load();
  }

  /** Draws the frame that the video shows; outside the clips their nearest one. */
  async follow() {
    if (this.#busy || !this.open || !this.clips.every((clip) => clip.ready)) return;
    this.#busy = true;
    const turn = this.#turn;
    for (let frame = this.#wanted(); frame !== this.drawn && this.open; frame = this.#wanted()) {
      const time = (frame + 0.5) / this.evidence.clip.fps;
      await Promise.all(this.clips.map((clip) => clip.seek(time)));
      if (turn !== this.#turn) return; // other clips were opened meanwhile; they have their own turn
      for (const clip of this.clips) clip.draw();
      this.drawn = frame;
      this.root.dataset.frame = frame;
    }
    this.#busy = false;
  }

  #wanted() {
    if (!this.evidence) return this.drawn;
    const { first_frame: first, frames } = this.evidence.clip;
    return Math.max(0, Math.min(frames - 1, this.player.shown - first));
  }

  #load() {
    if (!this.open) return;
    const { model } = this;
    const evidence = this.player.pictures ? model.evidence() : null;
    if (model.canMake && !model.evidenceLine()) model.askEvidence();
    this.root.classList.toggle("empty", !evidence);
    if (evidence && evidence.folder === this.evidence?.folder) return void this.follow();
    this.evidence = evidence;
    this.drawn = null;
    this.#turn += 1;
    this.#busy = false;
    for (const [k, clip] of this.clips.entries()) {
      clip.open(evidence && pictureUrl(model.recording.id, evidence.folder, `${CLIPS[k]}.mp4`, model.coder));
    }
    this.note.textContent = this.#words();
    return undefined;
  }

  #loaded() {
    this.note.textContent = this.#words();
    this.follow();
  }

  #words() {
    if (this.evidence && !this.clips.every((clip) => clip.ready)) return "The magnified clip is being made …";
    if (this.evidence) {
      const { factor } = this.evidence.clip;
      return `Left as it was, right with the motion since the onset magnified${factor ? ` ${Number(factor.toFixed(1))} ×` : ""}; both at the video’s frame.`;
    }
    if (!this.player.pictures) return "The pictures were removed with the video.";
    if (!this.model.looked) return "Choose an event to see its motion magnified.";
    return this.model.evidenceLine();
  }

  #failed() {
    this.note.textContent = "The magnified clip cannot be played; the video can.";
  }
}
