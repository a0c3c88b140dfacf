// The one door to the server.

export const API = "/api/v1";

/** What went wrong: status 0 means that no server answered. */
export class ApiError extends Error {
  name = "ApiError";

  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Address of a path below the API, with a query: empty values are left out. */
export function apiUrl(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return API + path + (text ? `?${text}` : "");
}

/** The error that an answer with a failing status tells of. */
export function errorFrom(status, text) {
  try {
    const { error } = JSON.parse(text);
    if (error?.message) return new ApiError(status, error.code ?? "error", error.message);
  } catch {
    // Not the server's own words: a proxy in between, or a page.
  }
  return new ApiError(status, "error", `expected an answer from the server, got status ${status}; try again`);
}

export const offline = () =>
  new ApiError(0, "offline", "the server does not answer; start it again with micromimic serve, then try again");

/**
 * Asks the server: await api("/subjects", {method: "POST", json: {code: "P01"}}).
 * Gives the answer's JSON, null where it has none, or the whole response where `raw`; throws ApiError.
 * @param {string} path @param {{method?: string, json?: any, query?: any, signal?: AbortSignal, raw?: boolean}} [options]
 */
export async function api(path, { method = "GET", json, query, signal, raw = false } = {}) {
  /** @type {RequestInit} */
  const request = { method, signal, headers: { Accept: raw ? "*/*" : "application/json" }, cache: "no-store" };
  if (json !== undefined) {
    Object.assign(request.headers, { "Content-Type": "application/json" });
    request.body = JSON.stringify(json);
  }
  let response, text;
  try {
    response = await fetch(apiUrl(path, query), request);
    if (raw && response.ok) return response;
    text = await response.text();
  } catch (error) {
    throw error.name === "AbortError" ? error : offline();
  }
  if (!response.ok) throw errorFrom(response.status, text);
  return text ? JSON.parse(text) : null;
}
