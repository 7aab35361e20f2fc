export const CALLBACK = "/auth/callback"
const LOCAL = "http://localhost:1455"
// The bytes that the protocol fixes for a login's state. A filter, not a check: the relay verifies
// the state. It leaves the sign-ins of every other program where they went before.
const STATE_BEGINS = "eyJ0eXAiOiJsb2dpbi1zdGF0ZStqd3QiLCJhbGciOiJIUzI1NiI"
const LOOKS_LIKE = "A relay’s address looks like https://relay.example.com."

/** Returns the origin of a relay's address; throws an Error with a sentence if it cannot be used. */
export function originOf(address) {
  let url
  try {
    url = new URL(address)
  } catch {
    throw new Error(`This is not a web address. ${LOOKS_LIKE}`)
  }
  if (!/^https?:$/.test(url.protocol) || /[^a-z0-9.:[\]-]/.test(url.host))
    throw new Error(`This is not a web address. ${LOOKS_LIKE}`)
  if (url.username || url.password) throw new Error(`Leave out the part before the @. ${LOOKS_LIKE}`)
  if (url.protocol === "http:" && !isLoopback(url.hostname))
    throw new Error("The address must begin with https://. Only a relay on this computer may use http://.")
  if (url.origin === LOCAL) throw new Error("Sign-ins end on this address already. Enter the relay’s.")
  if (url.href !== `${url.origin}/`) throw new Error(`Leave out what follows the host: ${url.origin} is enough.`)
  return url.origin
}

const isLoopback = (host) => /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/.test(host)

/**
 * Makes the browser's rule agree with what is set, and returns what that is. Rule and relay outlast
 * a restart, so they also hold in the seconds before the browser knows its policies.
 */
export const apply = () => navigator.locks.request("rule", update)

async function update() {
  const policy = await chrome.storage.managed.get("relay")
  const { option } = await chrome.storage.local.get("option")
  const byPolicy = policy.relay !== undefined
  const address = (byPolicy ? policy.relay : option) ?? ""
  let relay = ""
  let problem = ""
  try {
    relay = address && originOf(address)
  } catch (wrong) {
    problem = wrong.message
  }
  await chrome.storage.local.set({ relay })
  await chrome.declarativeNetRequest.updateDynamicRules({ removeRuleIds: [1], addRules: relay ? [rule()] : [] })
  const allowed = await chrome.permissions.contains({ origins: chrome.runtime.getManifest().host_permissions })
  return { address, byPolicy, relay, problem, allowed }
}

// To a page that goes on by itself: browsers apply the identity provider's form-action to a whole
// chain of redirects, and the relay is not in it.
function rule() {
  return {
    id: 1,
    action: {
      type: "redirect",
      redirect: { regexSubstitution: `chrome-extension://${chrome.runtime.id}/onward.html\\1` },
    },
    condition: {
      regexFilter: `^${LOCAL}${CALLBACK}(\\?(?:[^#]*&)?state=${STATE_BEGINS}[^#]*)(?:#.*)?$`,
      isUrlFilterCaseSensitive: true,
      resourceTypes: ["main_frame"],
      requestMethods: ["get"],
    },
  }
}
