// Asks the browser's keeper of passkeys: <form data-passkey="get|create" data-asked="URL of what to ask">. The answer
// goes into the field "credential" of the same form, and the form is sent.
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0))
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")

// What comes as text becomes bytes on the way in ...
function question({ publicKey: asked }) {
  const known = (list) => list?.map((one) => ({ ...one, id: bytes(one.id) }))
  return {
    publicKey: {
      ...asked,
      challenge: bytes(asked.challenge),
      ...(asked.user && { user: { ...asked.user, id: bytes(asked.user.id) } }),
      ...(asked.excludeCredentials && { excludeCredentials: known(asked.excludeCredentials) }),
      ...(asked.allowCredentials && { allowCredentials: known(asked.allowCredentials) }),
    },
  }
}

// ... and text again on the way out.
function answer(found) {
  const parts = ["attestationObject", "authenticatorData", "clientDataJSON", "signature", "userHandle"]
  const said = parts.filter((name) => found.response[name]).map((name) => [name, text(found.response[name])])
  return JSON.stringify({
    id: found.id,
    rawId: text(found.rawId),
    type: found.type,
    authenticatorAttachment: found.authenticatorAttachment,
    clientExtensionResults: found.getClientExtensionResults(),
    response: Object.fromEntries(said),
  })
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-passkey]")
  if (!form || form.elements.credential.value) return
  event.preventDefault()
  const failed = form.querySelector("[data-failed]")
  failed.hidden = true
  try {
    const asked = await fetch(form.dataset.asked, { method: "POST", body: new FormData(form), redirect: "error" })
    if (!asked.ok) throw new Error(asked.status)
    const found = await navigator.credentials[form.dataset.passkey](question(await asked.json()))
    form.elements.credential.value = answer(found)
    form.requestSubmit()
  } catch {
    failed.hidden = false
  }
})
for (const form of document.querySelectorAll("form[data-passkey]")) form.hidden = !window.PublicKeyCredential
