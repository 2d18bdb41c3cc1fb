// Keeps "20 s ago" and "in 8 days" true while the page stands open. The exact moment stays in the title.
// The words are the server's: <body data-time='{"past": "%s ago", "future": "in %s", "day": "day", "days": "days"}'>.
const WORDS = JSON.parse(document.body.dataset.time || "{}")
const UNITS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"]]

function count(size) {
  const unit = UNITS.find(([limit]) => size < limit)
  if (unit) return `${Math.floor(size / unit[1])} ${unit[2]}`
  const days = Math.floor(size / 86400)
  return `${days} ${days === 1 ? WORDS.day : WORDS.days}`
}

function relative(seconds) {
  const size = Math.abs(Math.trunc(seconds))
  return (seconds > 0 ? WORDS.future : WORDS.past).replace("%s", count(size))
}

function elapsed(seconds) {
  const size = Math.max(0, Math.floor(seconds))
  const minutes = Math.floor(size / 60)
  return minutes ? `${minutes} min ${String(size % 60).padStart(2, "0")} s` : `${size} s`
}

function tick() {
  const now = Date.now()
  for (const time of document.querySelectorAll("time[data-relative], time[data-elapsed]")) {
    const seconds = (Date.parse(time.dateTime) - now) / 1000
    const text = "elapsed" in time.dataset ? elapsed(-seconds) : relative(seconds)
    if (time.textContent !== text) time.textContent = text
  }
}

setInterval(() => { if (!document.hidden) tick() }, 1000)
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick() })
document.addEventListener("htmx:afterSettle", tick)
tick()
