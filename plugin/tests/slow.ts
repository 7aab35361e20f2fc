/** Clients that hold a connection: they send nothing, or a head or a body that does not end. */

import { connect } from "node:net";

type Slow = readonly [what: string, text: string, drip: string, status?: number];

const HEAD = "GET /auth/start HTTP/1.1\r\nHost: opencode.example\r\n";
const POST = HEAD.replace("GET", "POST");

/** What is sent at once, what again and again after it, and the answer where there is one. */
export const SLOW: readonly Slow[] = [
  ["nothing", "", ""],
  ["half a head", HEAD, ""],
  ["a head that does not end", `${HEAD}X-More: `, "x"],
  ["half a body", `${POST}Content-Length: 9999\r\n\r\nabc`, "", 405],
  ["a body that does not end", `${POST}Content-Length: 999999\r\n\r\n`, "abc", 405],
  ["chunks that do not end", `${POST}Transfer-Encoding: chunked\r\n\r\n`, "1\r\nx\r\n", 405],
  ["a body where none belongs", `${HEAD}Content-Length: 999999\r\n\r\n`, "abc", 404],
  ["no second request", `${HEAD}\r\n`, "", 404],
  ["half a second head", `${HEAD}\r\n${HEAD}X-More: `, "x", 404],
];

/** Sends until the other side ends the connection, and returns what was heard. */
export async function talk(
  path: string,
  text: string,
  drip: string,
  signal?: AbortSignal,
): Promise<string> {
  const client = connect(path);
  signal?.addEventListener("abort", () => client.destroy());
  const dripping = setInterval(() => drip && client.write(drip), 20);
  let heard = "";
  client.setEncoding("latin1").on("data", (chunk: string) => (heard += chunk));
  client.on("error", () => undefined); // it wrote to what was ended
  client.write(Buffer.from(text, "latin1"));
  await new Promise((resolve) => client.once("close", resolve));
  clearInterval(dripping);
  return heard;
}
