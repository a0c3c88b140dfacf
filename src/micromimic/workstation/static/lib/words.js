// Numbers, times and counts in words for people.

/** Seconds for people: "48 s", "3 min 20 s", "1 h 4 min". */
export function formatDuration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.floor((whole % 3600) / 60);
  return `${Math.floor(whole / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
}

/** Bytes for people: "29.7 MB". */
export function formatSize(bytes) {
  if (!Number.isFinite(bytes)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A date of the records (ISO text): "23 Nov 2026"; a day without a time stays that day. */
export function formatDate(text) {
  if (!text) return "–";
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00`) : new Date(text);
  return day.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** A moment of the records (ISO text): "23 Nov 2026, 14:05". */
export function formatMoment(text) {
  if (!text) return "–";
  return new Date(text).toLocaleString("en-GB", {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
  });
}

/** One or many: plural(2, "candidate") is "2 candidates". */
export function plural(count, one, many = `${one}s`) {
  return `${Number(count).toLocaleString("en-GB")} ${count === 1 ? one : many}`;
}
