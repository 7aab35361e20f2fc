/** Addresses that a server names, which are its to say: where the plugin or a browser goes next. */

import { BlockList, isIPv6 } from "node:net";

import { isSecure, parseUrl } from "./http.js";

/** From far to near: nobody may name what is nearer than they are themselves. */
const RINGS = [
  ring("of a private network", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
  ring("link-local", "169.254.0.0/16", "fe80::/10"),
  ring("this machine's own", "0.0.0.0/8", "127.0.0.0/8", "::/128", "::1/128"),
];

const LONGEST = 2_000;

/**
 * Why an address that the server at `by` names is not to be used, in a few words: https (http to
 * loopback only), nobody's name and no fragment in it, and nothing of the networks behind this
 * machine, unless the server is there itself.
 *
 * By what it says: a name is not resolved, for it may resolve to something else the next time.
 */
export function whyNot(text: unknown, by: URL): string | undefined {
  const url = typeof text === "string" && text.length <= LONGEST ? parseUrl(text) : undefined;
  if (!url || !/^[\x21-\x7e]+$/.test(String(text))) return "is no address";
  if (!isSecure(url)) return `is not https (${url.origin})`;
  if (url.username || url.password) return `has a user's name in it (${url.origin})`;
  if (url.hash || url.href.endsWith("#")) return `has a fragment (${url.origin})`;
  const at = ringOf(url);
  return at > ringOf(by) ? `is ${RINGS[at]!.what} (${url.origin})` : undefined;
}

/** True for two at one host and port, or with one host below the other's. */
export function isNear(one: URL, other: URL): boolean {
  const [host, above] = [one.hostname, other.hostname].sort((a, b) => b.length - a.length);
  const below = above!.includes(".") && host!.endsWith(`.${above}`);
  return one.protocol === other.protocol && one.port === other.port && (host === above || below);
}

function ring(what: string, ...nets: string[]): { what: string; nets: BlockList } {
  const list = new BlockList();
  for (const net of nets) {
    const [address, bits] = net.split("/") as [string, string];
    list.addSubnet(address, Number(bits), isIPv6(address) ? "ipv6" : "ipv4");
  }
  return { what, nets: list };
}

/** -1 for what is none of them. */
function ringOf({ hostname }: URL): number {
  if (/(^|\.)localhost\.?$/.test(hostname)) return RINGS.length - 1;
  const address = hostname.replace(/^\[|\]$/g, "");
  // As the URL parser writes them: an IPv4 address in another notation, too, has become this one.
  if (!isIPv6(address) && !/^[\d.]+$/.test(address)) return -1;
  return RINGS.findLastIndex(({ nets }) => nets.check(address, isIPv6(address) ? "ipv6" : "ipv4"));
}
