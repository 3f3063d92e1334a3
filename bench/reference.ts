/**
 * The reference programs, compiled with the same flags: `hello` returns a constant, `select` the
 * result of one prepared SELECT, `verify` prints the rate of Bun.password.verify with two at a
 * time.
 */
import postgres from 'postgres'

const [mode = 'hello', seconds = '3'] = process.argv.slice(2)
const environment = process.env

if (mode === 'verify') {
  const hash = environment.HASH ?? ''
  const until = performance.now() + Number(seconds) * 1000
  const started = performance.now()
  let done = 0
  const one = async () => {
    while (performance.now() < until) {
      await Bun.password.verify('correct horse battery staple', hash)
      done++
    }
  }
  await Promise.all([one(), one()])
  console.log(JSON.stringify({ perSecond: done / ((performance.now() - started) / 1000) }))
} else {
  const sql = mode === 'select' ? postgres(environment.DATABASE_URL ?? '', { max: 10, onnotice: () => {} }) : undefined
  const respond = sql
    ? async () => {
        const [user] = await sql`SELECT id, username, full_name, is_active FROM users WHERE username = ${'admin'}`
        return Response.json(user)
      }
    : () => Response.json({ status: 'ok' })
  const server = Bun.serve({
    port: Number(environment.PORT),
    hostname: '127.0.0.1',
    development: false,
    fetch: respond,
  })
  console.log(`server.ready http://127.0.0.1:${server.port}`)
}
