// One agent's story over MCP, by a TypeScript client. Each step is told as a JSON line on stdout.
// usage: node story.mjs <generation> <url> <what to ask for, as JSON>, with the agent's key in OBSERVATORY_KEY
//   sdk: the package of the first generation; legacy, auto, pinned: the second generation's three ways to choose the era
const [generation, url, wanted] = process.argv.slice(2);
const { customer_id, candidate_outputs } = JSON.parse(wanted);
const headers = { Authorization: `Bearer ${process.env.OBSERVATORY_KEY}` };
const info = { name: "observatory-tests", version: "1.0.0" };
const modes = { legacy: "legacy", auto: "auto", pinned: { pin: "2026-07-28" } };

async function connected() {
  if (generation === "sdk") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const client = new Client(info);
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const client = new Client(info, { versionNegotiation: { mode: modes[generation] } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
}

const tell = (step, what) => console.log(JSON.stringify({ step, ...what }));
const client = await connected();
const call = (name, args) => client.callTool({ name, arguments: args });

tell("connected", { server: client.getServerVersion(), version: client.getNegotiatedProtocolVersion?.() });
tell("listed", { tools: (await client.listTools()).tools });
tell("found", await call("search_customer", { query: "acme" }));
tell("refused", await call("create_ticket", { title: "no customer" }));
try {
  await call("no_such_tool", {});
} catch (error) {
  tell("unknown", { code: error.code, data: error.data });
}

const held = await call("update_customer_status", { customer_id, new_status: "vip" });
tell("held", held);
const { pending_action_id } = held.structuredContent;
let where;
do where = await call("observatory.status", { pending_action_id, wait_s: 5 });
while (["pending", "approved", "executing"].includes(where.structuredContent.status));
tell("finished", where);

const message = { channel: "#ops", message: "hello" };
const proposal = await call("send_message_propose", { ...message, candidate_outputs });
tell("proposed", proposal);
const { proposal_id, commit_token } = proposal.structuredContent;
tell("committed", await call("send_message_commit", { ...message, proposal_id, commit_token }));
tell("again", await call("send_message_commit", { ...message, proposal_id, commit_token }));
await client.close();
