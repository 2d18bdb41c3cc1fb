// Asks again for regions that change by themselves: fast while something moves and the page is seen, slow otherwise.
// <section data-poll="URL" data-moving="true" id="…">; the answer 304 changes nothing, 286 stops for good.
const FAST = 3000
const SLOW = 30000
const tags = new Map()

function due(region) {
  return region.dataset.moving === "true" ? FAST : SLOW
}

async function look(region) {
  const url = region.dataset.poll
  const headers = { "HX-Request": "true", "HX-Target": region.id }
  if (tags.has(url)) headers["If-None-Match"] = tags.get(url)
  const answer = await fetch(url, { headers, redirect: "manual", cache: "no-store" })
  if (answer.type === "opaqueredirect" || answer.status === 401) return location.reload()
  if (answer.headers.get("ETag")) tags.set(url, answer.headers.get("ETag"))
  if (answer.status === 286) delete region.dataset.poll
  if (answer.status !== 200 && answer.status !== 286) return
  const text = await answer.text()
  if (!region.isConnected || busy(region)) return
  const held = region.contains(document.activeElement) && nameOf(document.activeElement)
  htmx.swap(region, text, { swapStyle: "outerHTML" })
  if (held) [...document.querySelectorAll(`#${region.id} *`)].find((one) => nameOf(one) === held)?.focus({ preventScroll: true })
}

// Who goes by the keyboard stays where they are: what had the focus is found again by what it is and where it sends.
function nameOf({ tagName, id, name, href, textContent, dataset, form }) {
  return JSON.stringify([tagName, id, name, href, textContent.trim(), dataset.open, form?.getAttribute("action")])
}

// Nothing is pulled away from under a person's hands: a field in use, an open dialog, text being selected.
function busy(region) {
  if ("tail" in region.dataset && region.querySelector("pre")?.scrollTop < -8) return true  // somebody reads further up
  const focused = region.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")
  return focused || region.querySelector("dialog[open]") || region.contains(getSelection().type === "Range" ? getSelection().anchorNode : null)
}

function turn() {
  const now = Date.now()
  for (const region of document.querySelectorAll("[data-poll]")) {
    region.looked ??= now
    if (document.hidden || region.looking || now - region.looked < due(region)) continue
    region.looked = now
    region.looking = true  // a look that takes long is waited for: a second one would only wait behind it
    look(region).catch(() => { document.documentElement.dataset.offline = "" }).then(() => {
      region.looking = false
      if (navigator.onLine) delete document.documentElement.dataset.offline
    })
  }
}

setInterval(turn, 500)
