import { apply } from "./carry.js"

chrome.runtime.onInstalled.addListener(async ({ reason }) => {
  const { relay, byPolicy } = await apply()
  if (reason === "install" && !relay && !byPolicy) await chrome.runtime.openOptionsPage()
})
chrome.runtime.onStartup.addListener(apply)
chrome.storage.onChanged.addListener(apply)
