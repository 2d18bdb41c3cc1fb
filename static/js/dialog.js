// Opens and closes dialogs, lets toasts go, copies text, and moves the focus to what just changed or went wrong.
document.addEventListener("click", (event) => {
  const open = event.target.closest("[data-open]")
  if (open) document.getElementById(open.dataset.open)?.showModal()
  if (event.target.closest("[data-close]")) event.target.closest("dialog, .toast, .banner")?.[
    event.target.closest("dialog") ? "close" : "remove"]()
  const copy = event.target.closest("[data-copy]")
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => said(copy))
  const remove = event.target.closest("[data-remove]")
  if (remove) {
    const form = remove.form
    document.getElementById(remove.dataset.remove)?.remove()
    form?.dispatchEvent(new Event("change", { bubbles: true }))
  }
  if (event.target.matches("dialog[open]")) event.target.close()
})

function said(button) {
  const before = button.textContent
  button.textContent = button.dataset.copied
  setTimeout(() => { button.textContent = before }, 1500)
}

function toWhatIsWrong(part) {
  const wrong = part.querySelector?.("[aria-invalid=true]") ?? part.querySelector?.("[data-focus]")
  wrong?.focus()
}
toWhatIsWrong(document)
document.addEventListener("htmx:afterSwap", ({ target }) => {
  const dialog = target.querySelector?.("dialog[data-now]")
  if (dialog && !dialog.open) dialog.showModal()
  toWhatIsWrong(target)
})

// What was wrong is being mended: the words under the field are about what stood there before.
document.addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"))

document.addEventListener("htmx:sendError", () => {
  const line = document.getElementById("offline")
  if (line) line.hidden = false
})
document.addEventListener("htmx:afterOnLoad", () => {
  const line = document.getElementById("offline")
  if (line) line.hidden = true
})
