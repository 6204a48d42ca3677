// Better Auth 1.6 with its own `mcp` plugin. Environment: PORT, DATABASE, PROCESSES.
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { mcp } from "better-auth/plugins";
import { Pool } from "pg";
import { openDatabase, serve } from "../bun.mjs";

const auth = betterAuth({
  appName: "bench",
  baseURL: `http://127.0.0.1:${process.env.PORT}`,
  secret: "bench-secret-bench-secret-bench-secret-0123456789",
  database: openDatabase(Pool),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false }, // for the load; everything else is the default
  telemetry: { enabled: false },
  logger: { level: "error" },
  plugins: [mcp({ loginPage: "/login" })],
});
await serve(auth, async () => (await getMigrations(auth.options)).runMigrations());
