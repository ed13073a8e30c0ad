const [host, port] = process.argv.slice(-2);
const reasons = { ENOTFOUND: "unknown-host", EAI_AGAIN: "unknown-host", ECONNREFUSED: "refused" };
const line = require("net").connect(port, host);
const say = (words) => process.stdout.write(`relay ${words}\n`);
let connected = false;
line.on("connect", () => {
  connected = true;
  say("connected");
  process.stdin.pipe(line);
  line.pipe(process.stdout);
});
line.on("error", (error) => {
  if (!connected) say(reasons[error.code] || `failed ${error.code}`);
});
line.on("close", () => process.exit());
process.stdin.on("close", () => process.exit());
