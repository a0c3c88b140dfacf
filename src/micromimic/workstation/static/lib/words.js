// Numbers, times and counts in words for people.

/** Seconds for people: "48 s", "3 min 20 s", "1 h 4 min". */
export function formatDuration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${minutes} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

/** Bytes for people: "29.7 MB". */
export function formatSize(bytes) {
  if (!Number.isFinite(bytes)) return "–";
  const unit = ["B", "kB", "MB", "GB", "TB"].findLastIndex((_, k) => k === 0 || bytes >= 999.5 * 1000 ** (k - 1));
  const value = bytes / 1000 ** unit;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" "); // a browser's own differ: Sept

/** A date of the records (ISO text): "23 Nov 2026"; a day without a time stays that day. */
export function formatDate(text) {
  if (!text) return "–";
  const day = new Date(text.length === 10 ? `${text}T00:00:00` : text);
  return `${day.getDate()} ${MONTHS[day.getMonth()]} ${day.getFullYear()}`;
}

/** A day beside others: "20 Nov", and the year where it is not this one. */
export function formatDay(text) {
  const words = formatDate(text);
  return words.endsWith(` ${new Date().getFullYear()}`) ? words.slice(0, -5) : words;
}

/** A moment of the records (ISO text): "23 Nov 2026, 14:05". */
export function formatMoment(text) {
  return text ? `${formatDate(text)}, ${new Date(text).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}` : "–";
}

/** One or many: plural(2, "candidate") is "2 candidates". */
export function plural(count, one) {
  return `${Number(count).toLocaleString("en-GB")} ${one}${count === 1 ? "" : "s"}`;
}

/** A line as a sentence: with a capital and a full stop. */
export const sentence = (line) => line && line[0].toUpperCase() + line.slice(1) + (/[.!?]$/.test(line) ? "" : ".");

/** The day of a moment where the person sits, as a date of the records. @param {string | number} moment */
export const localDay = (moment) => new Date(Number(new Date(moment)) - new Date(moment).getTimezoneOffset() * 60000).toISOString().slice(0, 10);

export const today = () => localDay(Date.now());

/** "1st", "2nd", "13th". */
export function ordinal(number) {
  const teen = Math.floor(number / 10) % 10 === 1;
  return `${number}${(teen ? null : ["th", "st", "nd", "rd"][number % 10]) ?? "th"}`;
}
