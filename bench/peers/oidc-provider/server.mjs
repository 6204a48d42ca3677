// oidc-provider with its state in memory. Environment: PORT.
// Sign-in and consent are answered by the documented hooks: nobody types anything, and a signed-in user's
// authorization request goes straight to a code.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";
import { MapAdapter } from "./map_adapter.mjs";

const PORT = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${PORT}`;
const resource = `${issuer}/mcp`;
const scopes = "openid profile email offline_access";

const provider = new Provider(issuer, {
  adapter: MapAdapter,
  scopes: scopes.split(" "),
  claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: "Bench User", email: "user@example.com" }),
  }),
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: `${scopes} mcp`, accessTokenFormat: "opaque", audience: resource }),
    },
  },
  pkce: { required: () => true },
  issueRefreshToken: async (_, client) => client.grantTypeAllowed("refresh_token"),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async ({ oidc }) => {
    const { Grant } = oidc.provider;
    const id = oidc.result?.consent?.grantId || oidc.session.grantIdFor(oidc.client.clientId);
    const known = id && (await Grant.find(id));
    if (known) return known;
    const grant = new Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope(scopes);
    grant.addResourceScope(resource, `${scopes} mcp`);
    await grant.save();
    return grant;
  },
  cookies: {
    keys: ["bench-key-bench-key-bench-key-01"],
    long: { httpOnly: true, sameSite: "lax" },
    short: { httpOnly: true, sameSite: "lax" },
  },
});
provider.on("server_error", (_, error) => console.error(error));

const answer = provider.callback();
let users = 0;
createServer(async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  try { // the "sign-in page": makes a new user
    await provider.interactionDetails(request, response);
    const login = { accountId: `user${users++}` };
    await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
}).listen(PORT, "127.0.0.1");
