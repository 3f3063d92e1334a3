/**
 * What the figures are held against, compiled with the same flags: `hello` answers a constant, `select` one prepared
 * SELECT, `verify` prints how many Bun.password.verify a second two at a time make.
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
  const answer = sql
    ? async () => {
        const [user] = await sql`SELECT id, username, full_name, is_active FROM users WHERE username = ${'admin'}`
        return Response.json(user)
      }
    : () => Response.json({ status: 'ok' })
  const server = Bun.serve({ port: Number(environment.PORT), hostname: '127.0.0.1', development: false, fetch: answer })
  console.log(`server.ready http://127.0.0.1:${server.port}`)
}
