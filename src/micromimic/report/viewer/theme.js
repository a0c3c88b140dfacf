// The page's theme: the system's, until a person chooses another.

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";

/**
 * Makes a button switch between light and dark; "theme" is fired on document when it changes.
 * @param {HTMLElement} button @param {(theme: string) => void} [remember]
 */
export function themeButton(button, remember = () => {}) {
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    document.dispatchEvent(new Event("theme"));
  };
  button.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    remember(chosen);
    show();
  });
  systemDark.addEventListener("change", show);
  button.hidden = false;
  show();
}
