// Light, dark, or as the system says. Loaded in the head, before the first paint, so that nothing flashes.
const KEY = "gmud-theme"
const root = document.documentElement

function chosen() {
  try { return localStorage.getItem(KEY) || "system" } catch { return "system" }
}

function show() {
  const theme = chosen()
  if (theme === "system") delete root.dataset.theme
  else root.dataset.theme = theme
  for (const button of document.querySelectorAll("[data-set-theme]"))
    button.setAttribute("aria-pressed", String(button.dataset.setTheme === theme))
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-set-theme]")
  if (!button) return
  try { localStorage.setItem(KEY, button.dataset.setTheme) } catch { /* private window: for this page only */ }
  show()
})
document.addEventListener("DOMContentLoaded", show)
window.addEventListener("storage", show)
show()
