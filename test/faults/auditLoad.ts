import postgres from 'postgres'
import { createDatabase } from '../postgresql.ts'
import { password } from './load.ts'

/** What a client was told is done, under the event that must record it. */
export interface Acknowledged {
  readonly type: string
  readonly id: string
}

/**
 * Makes the database note every committed change by itself, in the transaction of the change, so
 * that the events can be compared with what happened.
 */
export async function witnessChanges(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(`
    CREATE TABLE witnessed (kind text NOT NULL, id text NOT NULL);
    CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO witnessed VALUES (TG_ARGV[0], coalesce(NEW.id, OLD.id)::text); RETURN NULL; END $$;
    CREATE TRIGGER created AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION witness('user.created');
    CREATE TRIGGER changed AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION witness('user.changed');
    CREATE TRIGGER deleted AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION witness('user.deleted');
    CREATE TRIGGER started AFTER INSERT ON audittrail_sessions FOR EACH ROW EXECUTE FUNCTION witness('login.succeeded');
    CREATE TRIGGER created AFTER INSERT ON audittrail_api_keys FOR EACH ROW EXECUTE FUNCTION witness('api_key.created');
    CREATE TRIGGER revoked AFTER UPDATE ON audittrail_api_keys FOR EACH ROW
      WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION witness('api_key.revoked')`)
}

/** Returns the committed changes as `kind id`, sorted. */
export async function witnessedChanges(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql`SELECT kind || ' ' || id AS change FROM witnessed`
  return rows.map(({ change }) => String(change)).sort()
}

/** Returns the events of the same changes as `kind id`, sorted. */
export async function recordedChanges(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql`SELECT type, about_id, leaf FROM audittrail_audit_events ORDER BY index`
  return rows
    .flatMap(({ type, about_id, leaf }) => {
      const { session, facts } = JSON.parse(leaf) as { session?: string; facts: { api_key?: string } }
      if (type === 'login.succeeded') return `${type} ${session}`
      if (type === 'api_key.created' || type === 'api_key.revoked') return `${type} ${facts.api_key}`
      if (type === 'user.created' || type === 'user.deleted') return `${type} ${about_id}`
      const isChange = /^user\.(changed|enabled|disabled|roles_changed)$|^password\.reset$/.test(type)
      return isChange ? `user.changed ${about_id}` : []
    })
    .sort()
}

export interface AuditLoad {
  readonly acknowledged: readonly Acknowledged[]
  /** Ends after the changes in progress. */
  stop(): Promise<void>
}

/** Makes changes with so many clients at once, each on any of the replicas, until it is stopped. */
export function startChanges(clients: number, urlOf: () => string, token: string): AuditLoad {
  const acknowledged: Acknowledged[] = []
  let isStopped = false
  const call = async (method: string, path: string, body?: object): Promise<Record<string, string> | undefined> => {
    const response = await fetch(`${urlOf()}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await response.text()
    if (!response.ok) return undefined
    return text === '' ? {} : JSON.parse(text)
  }
  const noting = async (type: string, id: string | undefined, change: Promise<Record<string, string> | undefined>) => {
    const changed = await change
    const known = id ?? changed?.id
    if (changed && known) acknowledged.push({ type, id: known })
    return changed
  }
  const signIn = async () => {
    const body = new URLSearchParams({ username: 'admin', password })
    await (await fetch(`${urlOf()}/auth/login`, { method: 'POST', body })).text()
  }
  const work = async () => {
    const name = `u${crypto.randomUUID()}`
    const draft = { username: name, full_name: name, password: 'a long pass phrase' }
    const user = await noting('user.created', undefined, call('POST', '/users', draft))
    const key = await noting('api_key.created', undefined, call('POST', '/api-keys', { name, scopes: ['introspect'] }))
    if (key?.id) await noting('api_key.revoked', key.id, call('DELETE', `/api-keys/${key.id}`))
    if (!user?.id) return
    const path = `/users/${user.id}`
    await noting('user.changed', user.id, call('PATCH', path, { full_name: `${name} changed` }))
    await noting('user.changed', user.id, call('PATCH', path, { roles: ['editor'] }))
    await noting('user.changed', user.id, call('PATCH', path, { is_active: false }))
    if (Math.random() < 0.5) await noting('user.deleted', user.id, call('DELETE', path))
    if (Math.random() < 0.2) await signIn()
  }
  const clientLoop = async () => {
    // A replica that is being killed or restarted cuts the connection.
    while (!isStopped) await work().catch(() => Bun.sleep(20))
  }
  const loops = Array.from({ length: clients }, clientLoop)
  return {
    acknowledged,
    stop: async () => {
      isStopped = true
      await Promise.all(loops)
    },
  }
}

/** A new database with low-cost hashes, and a connection to it. */
export async function openAuditDatabase() {
  const url = await createDatabase()
  const environment = {
    DATABASE_URL: url,
    ADMIN_PASSWORD: password,
    PASSWORD_MEMORY_KIB: '8192',
    PASSWORD_TIME_COST: '1',
  }
  return { environment, sql: postgres(url, { max: 1, onnotice: () => {} }) }
}
