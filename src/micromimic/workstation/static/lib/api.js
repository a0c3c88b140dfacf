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

/** Address of a path below the API, with a query; values may be lists, empty ones are left out. */
export function apiUrl(path, query = {}) {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, String(one ?? "")]));
  const text = new URLSearchParams(pairs.filter(([, value]) => value !== "")).toString();
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

/** What the page itself finds wrong with what a person gives. */
export const invalid = (line) => new ApiError(0, "invalid", line);

export const offline = () =>
  new ApiError(0, "offline", "the server does not answer; start it again with micromimic serve, then try again");

/**
 * Asks the server: await api("/subjects", {method: "POST", json: {code: "P01"}}).
 * Gives the answer's JSON, null where it has none, or the whole response where `raw`; throws ApiError.
 * @param {string} path
 * @param {{method?: string, json?: any, file?: File, query?: any, signal?: AbortSignal, raw?: boolean}} [options]
 */
export async function api(path, { method = "GET", json, file, query, signal, raw = false } = {}) {
  const headers = {
    Accept: raw ? "*/*" : "application/json",
    ...(json !== undefined && { "Content-Type": "application/json" }), ...(file && { "Content-Type": "application/octet-stream" }),
  };
  const body = file ?? JSON.stringify(json);
  let response, text;
  try {
    response = await fetch(apiUrl(path, query), { method, signal, headers, body, cache: "no-store" });
    if (raw && response.ok) return response;
    text = await response.text();
  } catch (error) {
    throw error.name === "AbortError" ? error : offline();
  }
  if (!response.ok) throw errorFrom(response.status, text);
  return text ? JSON.parse(text) : null;
}
