export function get(path: string, credential: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${credential}\r\n\r\n`
}

/** The question of Nginx about a page that a browser opens. */
export function askByCookie(path: string, cookie: string): string {
  const original = 'X-Original-Method: GET\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate'
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${cookie}\r\n${original}\r\n\r\n`
}

export function post(path: string, fields: Readonly<Record<string, string>>, credential = ''): string {
  const form = new URLSearchParams(fields).toString()
  const authorization = credential === '' ? '' : `Authorization: Bearer ${credential}\r\n`
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${authorization}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`
}

export function refreshRequest(token: string): string {
  return post('/api/auth/refresh', { refresh_token: token })
}
