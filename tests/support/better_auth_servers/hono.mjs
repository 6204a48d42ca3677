import { serve } from "@hono/node-server";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { mcpAuthHono } from "better-auth/plugins/mcp/client/adapters";
import { Hono } from "hono";
import { authURL, listening, mcpServer, port, serverURL } from "./whoami.mjs";

const app = new Hono();
const { middleware, discoveryRoutes } = mcpAuthHono({ authURL });

discoveryRoutes(app, serverURL);
app.use("/mcp/*", middleware);
app.post("/mcp", async (c) => {
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await mcpServer(c.get("mcpSession")).connect(transport);
  return transport.handleRequest(c.req.raw);
});
serve({ fetch: app.fetch, port: Number(port), hostname: "127.0.0.1" }, listening);
