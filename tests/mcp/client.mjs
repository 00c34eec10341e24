// A client session of the official MCP SDK for TypeScript: reads a JSON command a line, prints a JSON answer a line.
// Usage: client.mjs URL AUTHORITY. Commands: {"do": "initialize" | "list" | "call" | "tokens" | "events"}.

import { request as send } from "node:http";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  LoggingMessageNotificationSchema,
  McpError,
  ResourceListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

const [url, authority] = process.argv.slice(2);
const say = (answer) => console.log(JSON.stringify(answer));
const events = [];
let tokens = [];
let approval = null;

// Sends the first token; at a 401 it is thrown away and the next one is tried, as an OAuth client would.
async function authorized(target, options) {
  const headers = new Headers(options.headers);
  headers.set("host", authority);
  if (approval !== null && String(options.body).includes('"tools/call"')) headers.set("agent-approval", approval);
  for (;;) {
    headers.set("authorization", `Bearer ${tokens[0]}`);
    const response = await overHttp(target, options, headers);
    if (response.status !== 401 || tokens.length < 2) return response;
    tokens.shift();
  }
}

// Node's own fetch does not send a Host of the caller's.
function overHttp(target, { method, body, signal }, headers) {
  return new Promise((resolve, reject) => {
    const request = send(target, { method: method ?? "GET", headers: Object.fromEntries(headers), signal }, (answer) => {
      const init = { status: answer.statusCode, statusText: answer.statusMessage, headers: new Headers(answer.headers) };
      resolve(new Response([204, 304].includes(answer.statusCode) ? null : Readable.toWeb(answer), init));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: authorized });
const client = new Client({ name: "tests", version: "1" });
client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => events.push(`log: ${params.data}`));
client.setNotificationHandler(ResourceListChangedNotificationSchema, ({ method }) => events.push(method));

async function obey(command) {
  switch (command.do) {
    case "tokens":
      tokens = command.tokens;
      return {};
    case "initialize":
      await client.connect(transport);
      return { server: client.getServerVersion().name, session: transport.sessionId };
    case "list":
      return { tools: (await client.listTools()).tools.map((tool) => tool.name) };
    case "call": {
      approval = command.approval ?? null;
      try {
        const result = await client.callTool({ name: command.tool, arguments: command.arguments });
        return { is_error: result.isError ?? false, text: result.content[0].text };
      } finally {
        approval = null;
      }
    }
    case "events":
      for (let n = 0; n < 100 && events.length < command.count; n += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return { events };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    say(await obey(JSON.parse(line)));
  } catch (error) {
    if (error instanceof McpError) {
      // The SDK puts the code before the message.
      const message = error.message.replace(/^MCP error -?\d+: /, "");
      say({ mcp_error: { code: error.code, message, data: error.data } });
    } else {
      say({ broken: [`${error.name}: ${error.message}`] });
    }
  }
}
await transport.terminateSession();
await client.close();
say({ closed: true });
