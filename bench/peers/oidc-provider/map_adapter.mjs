// oidc-provider's adapter interface over plain Maps. The adapter that it brings keeps 1000 entries, drops live
// tokens under load, and walks all tokens of a grant at each write: that would slow this peer down unfairly.
const entries = new Map(); // "Model:id" -> { payload, expires }
const keysOfGrant = new Map();
const sessionOfUid = new Map();
const now = () => Math.floor(Date.now() / 1000);

export class MapAdapter {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    entries.set(this.key(id), { payload, expires: expiresIn ? now() + expiresIn : Infinity });
    if (this.model === "Session") {
      sessionOfUid.set(payload.uid, id);
    } else if (payload.grantId) {
      if (!keysOfGrant.has(payload.grantId)) keysOfGrant.set(payload.grantId, new Set());
      keysOfGrant.get(payload.grantId).add(this.key(id));
    }
  }

  async find(id) {
    const entry = entries.get(this.key(id));
    return entry && entry.expires > now() ? entry.payload : undefined;
  }

  async findByUid(uid) {
    return this.find(sessionOfUid.get(uid));
  }

  async findByUserCode() {}

  async consume(id) {
    const entry = entries.get(this.key(id));
    if (entry) entry.payload.consumed = now();
  }

  async destroy(id) {
    const entry = entries.get(this.key(id));
    entries.delete(this.key(id));
    keysOfGrant.get(entry?.payload.grantId)?.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const key of keysOfGrant.get(grantId) ?? []) entries.delete(key);
    keysOfGrant.delete(grantId);
  }
}
