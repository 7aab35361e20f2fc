// Whether opencode answers. Asked for its providers it makes the plugin, whose listener then is
// there for browsers that come back after a restart.
const user = `opencode:${process.env.OPENCODE_SERVER_PASSWORD ?? ""}`;
const answer = await fetch("http://127.0.0.1:4096/provider/auth", {
  headers: { Authorization: `Basic ${btoa(user)}` },
  proxy: "",
  signal: AbortSignal.timeout(20_000),
});
process.exit(answer.ok ? 0 : 1);
