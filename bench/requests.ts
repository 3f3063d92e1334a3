export const password = 'correct horse battery staple'

/** Returns a raw login request of the administrator. */
export function loginRequest(): string {
  const form = new URLSearchParams({ username: 'admin', password }).toString()
  return `POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`
}

/** Signs in and returns a raw request for /auth/me. */
export async function meRequest(port: number): Promise<string> {
  return `GET /api/auth/me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${await accessToken(port)}\r\n\r\n`
}

/** Signs in as the administrator and returns the access token. */
export async function accessToken(port: number): Promise<string> {
  const body = new URLSearchParams({ username: 'admin', password })
  const response = await fetch(`http://127.0.0.1:${port}/api/auth/login`, { method: 'POST', body })
  const { access_token: token } = (await response.json()) as { access_token: string }
  return token
}
