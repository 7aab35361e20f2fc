import { apply, originOf } from "./carry.js"

const [status, form, field, error] = ["#status", "form", "#relay", "#error"].map((it) => document.querySelector(it))
const fieldset = form.querySelector("fieldset")

function describe({ relay, byPolicy, problem, allowed }) {
  if (problem)
    return `Not active: the address that your organisation has set cannot be used. ${problem} Tell whoever looks after this browser.`
  if (!relay && byPolicy) return "Not active: your organisation has switched it off."
  if (!relay) return "Not active: no relay is set. Enter its address and press Save."
  if (!allowed)
    return "Not active: the browser does not let this extension use localhost. Allow it on the page of this extension’s details, under “Site access”."
  const organisation = byPolicy ? " Your organisation has set this." : ""
  return `Active: sign-ins that your opencode opened are carried to ${relay}.${organisation}`
}

async function show() {
  const found = await apply()
  status.textContent = describe(found)
  status.classList.toggle("active", status.textContent.startsWith("Active"))
  field.value = found.address
  form.hidden = found.byPolicy
  refuse("")
  fieldset.disabled = false
}

function refuse(sentence) {
  error.textContent = sentence
  if (sentence) {
    field.setAttribute("aria-invalid", "true")
    field.focus()
  } else field.removeAttribute("aria-invalid")
}

form.addEventListener("submit", async (event) => {
  event.preventDefault()
  const address = field.value.trim()
  try {
    await chrome.storage.local.set({ option: address && originOf(address) })
  } catch (wrong) {
    return refuse(wrong.message)
  }
  await show()
})
chrome.storage.onChanged.addListener((_, area) => area === "managed" && show())
chrome.permissions.onAdded.addListener(show)
chrome.permissions.onRemoved.addListener(show)
show()
