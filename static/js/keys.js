// A key for every place: "g" then a letter goes there, "c" files a change, "/" searches, "?" lists them all.
let went = 0

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable], dialog[open]")
}

function follow(name) {
  const link = document.querySelector(`[data-key="${CSS.escape(name)}"]`)
  if (!link) return false
  if (link.matches("input, textarea")) link.focus()
  else link.click()
  return true
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return
  const afterG = Date.now() - went < 1500
  went = 0
  if (event.key === "g" && !afterG) { went = Date.now(); return }
  if (follow(afterG ? `g ${event.key}` : event.key)) event.preventDefault()
})
