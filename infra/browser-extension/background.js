import { apply } from "./carry.js"

chrome.runtime.onInstalled.addListener(async ({ reason }) => {
  const { relay, byPolicy } = await apply()
  if (reason === "install" && !relay && !byPolicy) await chrome.tabs.create({ url: "options.html" })
})
chrome.runtime.onStartup.addListener(apply)
chrome.storage.onChanged.addListener(apply)
