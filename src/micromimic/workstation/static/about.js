// What this server is, allows, and is not for.

import { all, api, byId, el, fill, formatDuration, formatSize, header, plural, showError } from "./app.js";

header("about");

function show({ statements, limits, live, model, database, version }) {
  fill(byId("statements"), statements.map(([heading, sentence]) => el("div", {}, el("h3", {}, heading), el("p", {}, sentence))));
  const facts = {
    size: formatSize(limits.max_bytes), length: formatDuration(limits.max_seconds), sessions: live.max_sessions,
    classes: `${model.labels.join(", ")}; uncertain ones are marked`,
    version, model: `${model.name} ${model.version}, trained on ${model.trained_on}`,
    where: database === "postgresql"
      ? "Records are in a PostgreSQL database, videos and pictures in the server's data folder."
      : "Records, videos and pictures are in the server's data folder.",
    retention: limits.retention_days
      ? `Videos and pictures are removed ${plural(limits.retention_days, "day")} after they came in, unless an upload says otherwise. Events and decisions stay until they are deleted.`
      : "Videos and pictures stay until they are deleted, unless an upload says otherwise.",
  };
  for (const place of all("[data-fact]")) place.textContent = facts[place.dataset.fact];
}

api("/info").then(show).catch(showError);
