// The MCP server behind each adapter: one tool, which says what the adapter knows of its caller.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";

export const said = ({ userId, clientId, scopes }) => `${userId} ${clientId} ${scopes}`;

export function mcpServer(session) {
  const server = new McpServer({ name: "whoami", version: "1.0.0" });
  server.registerTool("whoami", { description: "Who calls" }, () => ({
    content: [{ type: "text", text: said(session) }],
  }));
  return server;
}

export const [port, authURL] = process.argv.slice(2);
export const serverURL = `http://127.0.0.1:${port}`;
export const listening = () => console.log("listening");
