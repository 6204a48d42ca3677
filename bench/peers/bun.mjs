// What both releases of Better Auth need of Bun: a database and a server. Environment: PORT, DATABASE, PROCESSES.
// DATABASE is a URL of PostgreSQL, or the path of a SQLite file, used in the mode of better-sqlite3's default.
import { Database } from "bun:sqlite";

const { DATABASE, PORT, PROCESSES = "1", WORKER } = process.env;

export function openDatabase(Pool) {
  if (DATABASE.startsWith("postgresql://")) return new Pool({ connectionString: DATABASE, max: 10 });
  const database = new Database(DATABASE);
  database.run("pragma journal_mode = WAL");
  database.run("pragma synchronous = NORMAL");
  return database;
}

// Several processes share the port, as Bun's guide for clusters says. The first of all migrates.
export async function serve(auth, migrate) {
  if (!WORKER) await migrate();
  const count = Number(PROCESSES);
  if (count > 1 && !WORKER) {
    const env = { ...process.env, WORKER: "1" };
    const stdio = ["ignore", "inherit", "inherit"];
    const workers = Array.from({ length: count }, () => Bun.spawn([process.execPath, Bun.main], { env, stdio }));
    process.on("SIGTERM", () => {
      for (const worker of workers) worker.kill();
      process.exit(0);
    });
    return;
  }
  Bun.serve({
    port: Number(PORT),
    hostname: "127.0.0.1",
    reusePort: count > 1,
    fetch: (request) => auth.handler(request),
  });
}
