// Better Auth 1.7 with @better-auth/mcp, which is @better-auth/oauth-provider set up for MCP.
// Environment: PORT, DATABASE, PROCESSES.
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { jwt } from "better-auth/plugins";
import { mcp } from "@better-auth/mcp";
import { Pool } from "pg";
import { openDatabase, serve } from "../bun.mjs";

const baseURL = `http://127.0.0.1:${process.env.PORT}`;
const off = false;
const auth = betterAuth({
  appName: "bench",
  baseURL,
  secret: "bench-secret-bench-secret-bench-secret-0123456789",
  database: openDatabase(Pool),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false }, // for the load, here and below; everything else is the default
  telemetry: { enabled: false },
  logger: { level: "error" },
  plugins: [
    jwt(),
    mcp({
      loginPage: "/login",
      consentPage: "/consent",
      resource: `${baseURL}/mcp`,
      allowDynamicClientRegistration: true,
      allowUnauthenticatedClientRegistration: true,
      rateLimit: { token: off, authorize: off, introspect: off, revoke: off, register: off, userinfo: off },
    }),
  ],
});
await serve(auth, async () => (await getMigrations(auth.options)).runMigrations());
