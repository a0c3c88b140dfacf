// What is heard: on or off and how loud, as this browser remembers it; and its waveform for the timeline.

import { api, byId, pressed, remember, rememberedJson } from "/static/app.js";

const KEY = "sound";

/** Whether a recording's video has sound that can be played. */
export const hasSound = ({ recording, shown }) => recording.media === "kept" && Boolean(shown.proxy?.sound);

export class Sound {
  constructor(model, player) {
    this.player = player;
    this.button = byId("mute");
    this.slider = byId("volume");
    byId("sound").hidden = !hasSound(model);
    const { muted = false, volume = 1 } = rememberedJson(KEY) ?? {};
    player.setSound(muted, volume);
    this.slider.value = 100 * volume;
    this.slider.addEventListener("input", () => this.#set(this.slider.value === "0", this.slider.value / 100));
    this.slider.addEventListener("pointerup", () => this.slider.blur()); // by mouse: keys go on
    player.addEventListener("play", () => this.#show());
    this.#show();
  }

  toggle() {
    const { muted, volume } = this.player;
    this.#set(!muted, volume || 1);
  }

  #set(muted, volume) {
    this.player.setSound(muted, volume);
    this.slider.value = 100 * volume;
    remember(KEY, JSON.stringify({ muted, volume }));
  }

  #show() {
    const { muted, audible } = this.player;
    pressed(this.button, !muted);
    this.button.title = `Sound on or off (q)${audible ? "" : "; silent at this speed"}`;
    this.slider.disabled = muted;
  }
}

const SILENCE = 0.02; // a recording that is never louder is not made to look so

/** The loudest of each part of a second, of the recording's loudest, as a curve; null where there is no sound. */
export async function fetchWaveform(model) {
  if (!hasSound(model)) return null;
  const found = await api(`/recordings/${model.recording.id}/files/waveform.json`);
  if (!found?.peaks?.length) return null;
  const { rate, peaks } = found;
  const loudest = peaks.reduce((most, peak) => Math.max(most, peak), 255 * SILENCE);
  return { times: Float64Array.from(peaks, (_, k) => (k + 0.5) / rate), values: Float32Array.from(peaks, (peak) => peak / loudest) };
}
