// A small API: each user's notes. Who the user is, AuditTrail says: by a token, or through Nginx.

import { type User, userByNginx } from './byNginx.ts'
import { createUserByToken, NotNow } from './byToken.ts'

const {
  AUTH,
  HOST = '127.0.0.1',
  PORT = '9000',
  AUDITTRAIL_URL = '',
  ISSUER = '',
  AUDIENCE = 'audittrail',
} = process.env

// Said, and not guessed: whoever takes the headers of Nginx must be out of everybody else's reach.
if (AUTH !== 'token' && AUTH !== 'nginx') throw new Error('AUTH is "token" or "nginx"')
if (AUTH === 'token' && !(AUDITTRAIL_URL && ISSUER)) throw new Error('AUTH=token needs AUDITTRAIL_URL and ISSUER')
const findUser =
  AUTH === 'nginx' ? userByNginx : createUserByToken(AUDITTRAIL_URL, { issuer: ISSUER, audience: AUDIENCE })

/** By the user's id, which no later user of the same name has. */
const notes = new Map<string, string[]>()

const server = Bun.serve({
  hostname: HOST,
  port: Number(PORT),
  development: false,
  maxRequestBodySize: 10_000,
  async fetch(request) {
    try {
      const user = await findUser(request)
      if (!user) return refusal(401, 'Not signed in, or no longer.', { 'www-authenticate': 'Bearer' })
      return await answer(request, user)
    } catch (error) {
      if (error instanceof NotNow) return refusal(503, 'The keys cannot be fetched.', { 'retry-after': '2' })
      console.error(error)
      return refusal(500, 'Something went wrong here.')
    }
  },
})
console.log(`listening on ${server.url}`)

async function answer(request: Request, user: User): Promise<Response> {
  const { pathname } = new URL(request.url)
  const own = notes.get(user.id) ?? []
  if (pathname === '/notes' && request.method === 'GET')
    return Response.json({ username: user.username, roles: user.roles, notes: own })
  if (pathname === '/notes' && request.method === 'POST') {
    notes.set(user.id, [...own, (await request.text()).slice(0, 200)].slice(-20))
    return new Response(null, { status: 204 })
  }
  return refusal(404, 'There is nothing at this path.')
}

function refusal(status: number, detail: string, headers: Record<string, string> = {}): Response {
  return Response.json({ status, detail }, { status, headers })
}
