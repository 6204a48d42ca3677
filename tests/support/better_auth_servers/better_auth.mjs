// Better Auth with its `mcp` plugin, in memory, and an MCP server behind its guard. Argument: the port.
// As its manual says: both metadata documents at the root, the MCP server at /mcp.
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { mcp, oAuthDiscoveryMetadata, oAuthProtectedResourceMetadata, withMcpAuth } from "better-auth/plugins";

const port = Number(process.argv[2]);
const origin = `http://127.0.0.1:${port}`;
const tables = ["user", "session", "account", "verification"];
const ofPlugin = ["oauthApplication", "oauthAccessToken", "oauthConsent"];
const auth = betterAuth({
  appName: "doctor",
  baseURL: origin,
  secret: "test-secret-test-secret-test-secret-0123456789",
  database: memoryAdapter(Object.fromEntries([...tables, ...ofPlugin].map((name) => [name, []]))),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: "error" },
  plugins: [mcp({ loginPage: "/login" })],
});

const answer = { jsonrpc: "2.0", id: 1, result: { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: {} } };
const routes = {
  "/.well-known/oauth-authorization-server": oAuthDiscoveryMetadata(auth),
  "/.well-known/oauth-protected-resource": oAuthProtectedResourceMetadata(auth),
  "/mcp": withMcpAuth(auth, () => Response.json(answer)),
  "/login": () => new Response("<h1>Sign in</h1>", { headers: { "content-type": "text/html", "x-frame-options": "DENY" } }),
};

async function handled(request) {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/api/auth/")) return auth.handler(request);
  return routes[pathname]?.(request) ?? new Response("Not found", { status: 404 });
}

createServer(async (incoming, outgoing) => {
  const parts = [];
  for await (const part of incoming) parts.push(part);
  const body = ["GET", "HEAD"].includes(incoming.method) ? undefined : Buffer.concat(parts);
  const request = new Request(`${origin}${incoming.url}`, { method: incoming.method, headers: incoming.headers, body });
  const response = await handled(request);
  outgoing.statusCode = response.status;
  outgoing.setHeaders(new Headers([...response.headers].filter(([name]) => name !== "set-cookie")));
  if (response.headers.getSetCookie().length) outgoing.setHeader("set-cookie", response.headers.getSetCookie());
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}).listen(port, "127.0.0.1", () => console.log("listening"));
