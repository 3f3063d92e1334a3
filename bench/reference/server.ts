/**
 * The limits of a server, compiled with the same flags: `hello` returns a constant, `select` the
 * result of one prepared SELECT, `update` that of one prepared UPDATE of a session.
 */
const [mode = 'hello'] = process.argv.slice(2)
const { DATABASE_URL = '', PORT } = process.env

const respond = mode === 'hello' ? () => Response.json({ status: 'ok' }) : await respondFromDatabase()
Bun.serve({ port: Number(PORT), hostname: '127.0.0.1', development: false, fetch: respond })

/** A check reads the hash as well, as `SELECT *` of an ORM does. The response has no hash. */
function presentUser({ id, username, full_name, is_active }: Readonly<Record<string, unknown>> = {}) {
  return { id, username, full_name, is_active }
}

async function respondFromDatabase(): Promise<() => Promise<Response>> {
  // A hello-world does not load a driver.
  const { default: postgres } = await import('postgres')
  const sql = postgres(DATABASE_URL, { max: 10, onnotice: () => {} })
  if (mode === 'select') {
    let selects = 0
    return async () => {
      const [user] = await sql`SELECT id, username, hashed_password, full_name, is_active FROM users
        WHERE username = ${`user${selects++ % 200}`}`
      return Response.json(presentUser(user))
    }
  }
  const sessions = await sql`SELECT id FROM audittrail_sessions LIMIT 1000`
  let updates = 0
  return async () => {
    const id = sessions[updates++ % sessions.length]?.id
    const [session] = await sql`UPDATE audittrail_sessions SET last_used_at = now() WHERE id = ${id} RETURNING id`
    return Response.json(session)
  }
}

export {}
