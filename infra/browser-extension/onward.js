import { CALLBACK } from "./carry.js"

// The relay comes from what is set, never from this page's own address.
const { relay } = await chrome.storage.local.get("relay")
if (relay) location.replace(relay + CALLBACK + location.search)
