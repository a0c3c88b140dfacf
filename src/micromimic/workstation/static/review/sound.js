// What is heard: on or off and how loud, as this browser remembers it; and its waveform for the timeline.

import { api, byId, pressed, remember, rememberedJson } from "/static/app.js";

const KEY = "sound";

/** Whether a recording's video has sound that can be played. */
const hasSound = ({ recording, shown }) => recording.media === "kept" && Boolean(shown.proxy?.sound);

/** The button and the slider. Gives what turns it on and off. */
export function sound(model, player) {
  const button = byId("mute"), slider = byId("volume");

  function set(muted, volume) {
    player.set({ muted, volume });
    slider.value = 100 * volume;
  }
  function change(muted, volume) {
    set(muted, volume);
    remember(KEY, JSON.stringify({ muted, volume }));
  }
  function show() {
    pressed(button, !player.muted);
    button.title = `Sound on or off (q)${player.audible ? "" : "; silent at this speed"}`;
    slider.disabled = player.muted;
  }

  byId("sound").hidden = !hasSound(model);
  slider.addEventListener("input", () => change(slider.value === "0", slider.value / 100));
  slider.addEventListener("pointerup", () => slider.blur()); // by mouse: keys go on
  player.addEventListener("play", show);
  const { muted = false, volume = 1 } = rememberedJson(KEY) ?? {};
  set(muted, volume);
  return () => change(!player.muted, player.volume || 1);
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
