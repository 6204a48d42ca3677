import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createMcpAuthClient } from "better-auth/plugins/mcp/client";
import express from "express";
import { authURL, listening, mcpServer, port, serverURL } from "./whoami.mjs";

const app = express();
const mcpAuth = createMcpAuthClient({ authURL });

const discovery = (handler) => async (_, res) => {
  const response = await handler();
  res.status(response.status).json(await response.json());
};
app.get("/.well-known/oauth-authorization-server", discovery(mcpAuth.discoveryHandler()));
app.get("/.well-known/oauth-protected-resource", discovery(mcpAuth.protectedResourceHandler(serverURL)));

app.use("/mcp", mcpAuth.middleware());
app.post("/mcp", express.json(), async (req, res) => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await mcpServer(req.mcpSession).connect(transport);
  await transport.handleRequest(req, res, req.body);
});
app.listen(Number(port), "127.0.0.1", listening);
