// What both Better Auths need of Bun: its SQLite, in the mode that better-sqlite3 has by default, and its server.
import { Database } from "bun:sqlite";

export function openDatabase() {
  const database = new Database(process.env.DATABASE);
  database.run("pragma journal_mode = WAL");
  database.run("pragma synchronous = NORMAL");
  return database;
}

export function serve(auth) {
  Bun.serve({ port: Number(process.env.PORT), hostname: "127.0.0.1", fetch: (request) => auth.handler(request) });
}
