import { serve } from "@hono/node-server";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { mcpAuthOfficial } from "better-auth/plugins/mcp/client/adapters";
import { authURL, listening, mcpServer, port, serverURL } from "./whoami.mjs";

const auth = mcpAuthOfficial({ authURL });

const handlers = {
  "/.well-known/oauth-authorization-server": auth.client.discoveryHandler(),
  "/.well-known/oauth-protected-resource": auth.client.protectedResourceHandler(serverURL),
  "/mcp": auth.handler(async (req, session) => {
    const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    await mcpServer(session).connect(transport);
    return transport.handleRequest(req);
  }),
};
const fetch = (req) => handlers[new URL(req.url).pathname]?.(req) ?? new Response(null, { status: 404 });
serve({ fetch, port: Number(port), hostname: "127.0.0.1" }, listening);
