// A client of the TypeScript SDK, unmodified: node step_up.mjs 1|2 URL GRANT_TYPE...
// It calls a read tool and a write tool. When it is sent to its user, it prints `AUTHORIZE url` and reads the
// URL of the redirect, one line, from stdin. It prints `TOKENS scope` and `RESULT text` as they come.
import readline from "node:readline";

const [generation, url, ...grantTypes] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport, UnauthorizedError } =
  generation === "1"
    ? {
        ...(await import("@modelcontextprotocol/sdk/client/index.js")),
        ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
        ...(await import("@modelcontextprotocol/sdk/client/auth.js")),
      }
    : await import("@modelcontextprotocol/client");

const kept = {};
const provider = {
  redirectUrl: "http://127.0.0.1:33418/callback",
  clientMetadata: {
    client_name: `Step-up client ${process.pid}`, // the same name would be the same client
    redirect_uris: ["http://127.0.0.1:33418/callback"],
    grant_types: grantTypes,
    token_endpoint_auth_method: "none",
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => {
    kept.tokens = tokens;
    console.log(`TOKENS ${tokens.scope}`);
  },
  redirectToAuthorization: (to) => console.log(`AUTHORIZE ${to.href}`),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (state) => void (kept.discovery = state),
  discoveryState: () => kept.discovery,
};

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
let client = new Client({ name: "step-up", version: "1" });

// What every program does with these SDKs: finish the authorization, then try again.
async function withTheUser(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const redirect = new URL((await lines.next()).value).searchParams;
    await transport.finishAuth(redirect.get("code"), redirect.get("iss"));
    return await work();
  }
}

async function connect() {
  transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  client = new Client({ name: "step-up", version: "1" });
  await client.connect(transport);
}

async function call(name, args) {
  const result = await withTheUser(() => client.callTool({ name, arguments: args }));
  console.log(`RESULT ${result.content[0].text}`);
}

try {
  await withTheUser(connect);
  await call("whoami", {});
  await call("add_todo", { text: "feed the cat" });
  await call("whoami", {});
} catch (error) {
  console.log(`FAILED ${error.message}`);
}
process.exit(0);
