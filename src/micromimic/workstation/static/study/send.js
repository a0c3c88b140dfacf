// A file as the body of a request.

import { API, errorFrom, offline } from "../app.js";

/**
 * Sends a file and gives the answer; values of the query may be lists, empty ones are left out.
 * @param {string} path @param {File | Blob} file @param {Record<string, any>} query
 */
export async function sendFile(path, file, query) {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, String(one ?? "")]));
  const text = new URLSearchParams(pairs.filter(([, value]) => value !== "")).toString();
  let response, body;
  try {
    const headers = { "Content-Type": "application/octet-stream", Accept: "application/json" };
    response = await fetch(`${API}${path}?${text}`, { method: "POST", headers, body: file, cache: "no-store" });
    body = await response.text();
  } catch {
    throw offline();
  }
  if (!response.ok) throw errorFrom(response.status, body);
  return JSON.parse(body);
}

/** A line for people that no server said. */
export const told = (text) => Object.assign(new Error(text), { plain: true });

/** The words of a field with commas between. */
export const words = (text) => text.split(",").map((word) => word.trim()).filter(Boolean);

/** The lines of a field that are not empty. */
export const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

/** Saves text as a file. */
export function saveText(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 30000);
}
