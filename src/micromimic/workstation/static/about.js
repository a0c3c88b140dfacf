// What this server is, allows, and is not for.

import { API, api, byId, el, fill, formatDuration, formatSize, header, plural, showError } from "./app.js";

header("about");

const facts = (pairs) => pairs.map(([term, ...words]) => el("div", {}, el("dt", {}, term), el("dd", {}, words)));

function show(info) {
  const { limits, live, model } = info;
  fill(byId("statements"), info.statements.map(([heading, sentence]) => el("div", {}, el("h3", {}, heading), el("p", {}, sentence))));
  fill(byId("limits"), facts([
    ["Largest upload", formatSize(limits.max_bytes)],
    ["Longest video", formatDuration(limits.max_seconds)],
    ["Live sessions at once", String(live.max_sessions)],
    ["Shortest movement", "four frames: 0.13 s at 30 frames a second, 0.04 s at 100"],
    ["Smallest movement", "about half a pixel; more with noise, compression or flicker"],
    ["Classes", `${model.labels.join(", ")}; uncertain ones are marked`],
  ]));
  byId("where").textContent += info.database === "postgresql"
    ? " Records are in a PostgreSQL database, videos and pictures in the server's data folder."
    : " Records, videos and pictures are in the server's data folder.";
  byId("retention").textContent = limits.retention_days
    ? `Videos and pictures are removed ${plural(limits.retention_days, "day")} after they came in, unless an upload says otherwise. Events and decisions stay until they are deleted.`
    : "Videos and pictures stay until they are deleted, unless an upload says otherwise.";
  fill(byId("version"), facts([
    ["micromimic", info.version],
    ["Model", `${model.name} ${model.version}, trained on ${model.trained_on}`],
    ["Licence", "MIT, code and weights"],
    ["Landmarks", "the default model was trained on 300-W, whose terms exclude commercial use; commercial work needs another landmark backend"],
    ["Programming interface", el("a", { href: `${API}/openapi.json` }, "OpenAPI description")],
  ]));
}

api("/info").then(show).catch(showError);
