// The face as it was beside the face with its motion magnified: two short clips with the same frames,
// kept on the frame that the video shows, so that there is one playhead and nothing to set twice.

import { byId } from "/static/app.js";
import { pictureUrl } from "./data.js";

export class Pair {
  constructor(model, player) {
    Object.assign(this, { model, player });
    this.root = byId("pair");
    this.clips = [...this.root.querySelectorAll("video")];
    this.note = byId("pair-note");
    this.open = false;
    this.evidence = null;
    for (const clip of this.clips) {
      clip.muted = true;
      clip.addEventListener("loadeddata", () => this.follow());
      clip.addEventListener("seeked", () => this.follow());
      clip.addEventListener("error", () => this.#failed(clip));
    }
    model.addEventListener("select", () => this.#load());
    player.addEventListener("frame", () => this.follow());
    player.addEventListener("play", () => this.follow());
  }

  show(on) {
    this.open = on;
    this.root.hidden = !on;
    this.root.parentElement.classList.toggle("magnifying", on);
    this.#load();
  }

  /** Time in the clips of the frame that the video shows, and whether that frame lies within them. */
  target() {
    const { first_frame: first, frames, fps } = this.evidence.clip;
    const frame = this.player.shown - first;
    const kept = Math.max(0, Math.min(frames - 1, frame));
    return { time: (kept + 0.5) / fps, inside: frame === kept, fps };
  }

  follow() {
    if (!this.open || !this.evidence) return;
    const { time, inside, fps } = this.target();
    const playing = this.player.playing && inside;
    // At full speed a screen shows every third frame of 200 a second: nearer than that nobody can tell.
    const slack = playing ? Math.max(0.8 / fps, 0.02 * this.player.speed) : 0.25 / fps;
    for (const clip of this.clips) {
      if (clip.readyState < 2 || clip.seeking) continue;
      if (clip.playbackRate !== this.player.speed) clip.playbackRate = this.player.speed;
      if (playing && clip.paused) clip.play().catch(() => this.#failed(clip));
      if (!playing && !clip.paused) clip.pause();
      if (Math.abs(clip.currentTime - time) > slack) clip.currentTime = time;
    }
  }

  #load() {
    if (!this.open) {
      for (const clip of this.clips) clip.pause();
      return;
    }
    const evidence = this.player.pictures ? this.model.evidence() : null;
    this.root.classList.toggle("empty", !evidence);
    if (!evidence) this.#empty();
    else if (evidence !== this.evidence) {
      this.note.textContent = "Left as it was, right with the motion since the onset magnified; both on the video’s frame.";
      for (const clip of this.clips) clip.src = pictureUrl(this.model.recording.id, evidence.index, `${clip.dataset.clip}.mp4`);
    }
    this.evidence = evidence;
    this.follow();
  }

  #empty() {
    for (const clip of this.clips) clip.removeAttribute("src");
    if (!this.player.pictures) this.note.textContent = "The pictures were removed with the video.";
    else if (this.model.event()) this.note.textContent = "Only the machine’s events have a magnified clip.";
    else this.note.textContent = "Choose an event to see its motion magnified.";
  }

  #failed(clip) {
    if (clip.getAttribute("src")) this.note.textContent = "The magnified clip cannot be played; the video can.";
  }
}
