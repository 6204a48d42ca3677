import { mcpAuthMcpUse } from "better-auth/plugins/mcp/client/adapters";
import { MCPServer, text } from "mcp-use/server";
import { authURL, listening, port, said, serverURL } from "./whoami.mjs";

const server = new MCPServer({
  name: "whoami",
  version: "1.0.0",
  host: "127.0.0.1",
  baseUrl: serverURL,
  stateless: true,
  oauth: mcpAuthMcpUse({ authURL }),
});
server.tool({ name: "whoami", description: "Who calls" }, async (_, context) => text(said(context.auth.user)));
await server.listen(Number(port));
listening();
