/** The listener alone, for Bun: at the socket that it is told. */

import { listening } from "../src/listener/listener.js";

await listening({ path: process.argv[2]! }, () => undefined);
setInterval(() => undefined, 60_000); // it does not keep the process alive by itself
process.send?.("listening");
