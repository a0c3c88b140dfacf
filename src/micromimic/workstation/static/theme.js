// Runs before the first paint, so that a chosen theme never flashes; see header in lib/shell.js.
try {
  const theme = localStorage.getItem("micromimic.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is off: the system's own theme stays.
}
