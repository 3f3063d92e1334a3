import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BrowserContext, Page } from 'playwright-core'
import postgres from 'postgres'
import { run, type Server, serve } from '../binary/binary.ts'
import { hasChromium, openChromium } from '../browser/chromium.ts'
import { createDatabase } from '../postgresql.ts'
import { commands, type FrontendProject, makeFrontendProject, snippets } from './frontendProject.ts'

let databaseUrl: string
let server: Server
let project: FrontendProject

beforeAll(async () => {
  databaseUrl = await createDatabase()
  server = await serve({ environment: { DATABASE_URL: databaseUrl, SECRET_KEY: 'k'.repeat(32) } })
  project = makeFrontendProject()
})
afterAll(async () => {
  await server.stop()
  project.remove()
})

/** The two typed clients also sign in themselves: one with a form, Eden with JSON. */
const typedSignIn = `
import { treaty } from '@elysiajs/eden'
import createClient from 'openapi-fetch'
import type { paths } from './audittrail'
import type { App } from './routes'

const form = { 'content-type': 'application/x-www-form-urlencoded' }

export async function byOpenapiFetch(password: string): Promise<string> {
  const client = createClient<paths>()
  const { data, error, response } = await client.POST('/api/auth/login', { body: { username: 'admin', password }, headers: form })
  if (error) return \`\${response.status} \${error.error} \${error.detail}\`
  const me = await client.GET('/api/auth/me', { headers: { authorization: \`Bearer \${data.access_token}\` } })
  return me.data?.full_name ?? ''
}

export async function byEden(password: string): Promise<string> {
  const { api } = treaty<App>(location.origin)
  const { data, error } = await api.auth.login.post({ username: 'admin', password })
  if (error) return String(error.status)
  const me = await api.auth.me.get({ headers: { authorization: \`Bearer \${data.access_token}\` } })
  return me.data?.full_name ?? ''
}
`

/** What the hook uses of React, which is no dependency of this repository. */
const react = `
declare module 'react' {
  export function useState<T>(initial: T): [T, (value: T) => void]
  export function useEffect(effect: () => (() => void) | undefined, dependencies?: readonly unknown[]): void
}
`

/** The commands of the page, run against this test's server. */
function generateAsThePageSays(): void {
  const command = commands.find((line) => line.startsWith('npx openapi-typescript ')) ?? ''
  const args = command.replace('http://127.0.0.1:8000', server.origin).split(' ').slice(2)
  expect(project.generateTypes(...args)).toMatchObject({ status: 0 })
}

describe('docs/frontend.md', () => {
  test('has a snippet for every file that it names', () => {
    expect([...snippets.keys()]).toEqual([
      ...['cookie.ts', 'ownForm.ts', 'useSession.ts', 'vite.config.ts'],
      ...['session.ts', 'index.html', 'page.ts', 'stay.ts', 'api.ts', 'eden.ts'],
    ])
  })

  test('has snippets that compile against types generated from the server and from the binary', async () => {
    generateAsThePageSays()
    expect(commands).toContain('(cd ../audittrail && bun install && bun run declarations)')
    expect(commands).toContain('cp ../audittrail/dist/routes.d.ts routes.d.ts')
    project.copyRoutes()
    project.write('typedSignIn.ts', typedSignIn)
    project.write('react.d.ts', react)
    expect(project.typeCheck()).toEqual({ status: 0, output: '' })

    const { stdout } = await run(['openapi'])
    project.write('openapi.json', stdout)
    expect(project.generateTypes('openapi.json', '-o', 'printed.d.ts')).toMatchObject({ status: 0 })
    expect(project.read('printed.d.ts')).toBe(project.read('audittrail.d.ts'))
  })

  test.each([
    ['openapi-fetch a field', 'api.ts', 'data.full_name', 'data.fullname', "'fullname' does not exist"],
    ['openapi-fetch a path', 'api.ts', "'/api/auth/me'", "'/api/auth/you'", 'error TS'],
    ['Eden a field', 'eden.ts', 'data.full_name', 'data.fullname', "'fullname' does not exist"],
    ['Eden a path', 'eden.ts', 'auth.me.get', 'auth.you.get', "'you' does not exist"],
  ])('generates types that reject %s that does not exist', (_, file, right, wrong, message) => {
    const code = snippets.get(file) ?? ''
    expect(code).toContain(right)
    project.write(file, code.replace(right, wrong))
    const { status, output } = project.typeCheck()
    project.write(file, code)
    expect(status).not.toBe(0)
    expect(output).toContain(message)
  })
})

describe.skipIf(!hasChromium)('docs/frontend.md in Chromium', () => {
  let browser: BrowserContext
  let page: Page
  beforeAll(async () => {
    browser = await openChromium()
    page = browser.pages()[0] ?? (await browser.newPage())
    // Like Nginx: the page and the API share one origin.
    project.write(
      'everything.ts',
      ['session', 'stay', 'api', 'eden', 'typedSignIn']
        .map((name) => `export * as ${name} from './${name}'\n`)
        .concat("import './page'\n")
        .join(''),
    )
    project.write('typedSignIn.ts', typedSignIn)
    const script = await project.bundle('everything.ts')
    await page.route(`${server.origin}/`, (route) =>
      route.fulfill({ contentType: 'text/html', body: snippets.get('index.html') ?? '' }),
    )
    await page.route(`${server.origin}/page.js`, (route) =>
      route.fulfill({ contentType: 'text/javascript', body: script }),
    )
    await page.goto(`${server.origin}/`)
  })
  afterAll(() => browser.close())

  async function submit(password: string): Promise<void> {
    await page.getByLabel('Username').fill('admin')
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  const shows = (text: string) => page.locator('output', { hasText: text }).waitFor()
  /** Evaluates an expression in the page, where `everything` is the exports of its script. */
  const inPage = <T>(expression: string): Promise<T> =>
    page.evaluate(`import('/page.js').then((everything) => ${expression})`)

  test('the page shows why a sign-in failed, then who is signed in', async () => {
    await submit('wrong')
    await shows('Incorrect username or password')
    await submit('changeme')
    await shows('Hello, Default Admin')
    expect(await page.locator('form').isHidden()).toBe(true)
  })

  test('the token is stored nowhere that another script could read', async () => {
    expect(await page.evaluate('localStorage.length + sessionStorage.length + document.cookie.length')).toBe(0)
    // Scripts can read nothing and the cookie grants nothing: it only marks a known device at
    // login.
    expect(await browser.cookies()).toMatchObject([
      { name: 'audittrail_device', httpOnly: true, sameSite: 'Strict', path: '/api/auth/login' },
    ])
  })

  test('openapi-fetch and Eden return the signed-in user', async () => {
    expect(await inPage<string>('everything.api.whoAmI()')).toBe('Default Admin')
    expect(await inPage<string>('everything.eden.whoAmI()')).toBe('Default Admin')
  })

  test('the token is not sent to another origin', async () => {
    const elsewhere = 'http://elsewhere.invalid/'
    const { promise, resolve } = Promise.withResolvers<Record<string, string>>()
    await page.route(elsewhere, (route) => {
      resolve(route.request().headers())
      return route.fulfill({ status: 401, headers: { 'access-control-allow-origin': '*' } })
    })
    expect(await inPage<number>(`everything.session.call('${elsewhere}').then((response) => response.status)`)).toBe(
      401,
    )
    expect(Object.keys(await promise)).not.toContain('authorization')
    expect(await page.locator('form').isHidden()).toBe(true)
  })

  test('the page asks to sign in again after the session has ended', async () => {
    const client = postgres(databaseUrl, { max: 1 })
    await client`DELETE FROM audittrail_sessions`
    await client.end()
    const refusals = await inPage<string[]>(
      'Promise.all([everything.api, everything.eden].map(({ whoAmI }) => whoAmI().catch((error) => error.message)))',
    )
    expect(refusals).toEqual(['Could not validate credentials', '/api/auth/me returned 401'])
    await shows('Please sign in again.')
    await submit('changeme')
    await shows('Hello, Default Admin')
  })

  test('openapi-fetch and Eden sign in and report a wrong password', async () => {
    expect(await inPage<string>("everything.typedSignIn.byOpenapiFetch('changeme')")).toBe('Default Admin')
    expect(await inPage<string>("everything.typedSignIn.byEden('changeme')")).toBe('Default Admin')
    expect(await inPage<string>("everything.typedSignIn.byOpenapiFetch('wrong')")).toBe(
      '401 invalid_grant Incorrect username or password',
    )
    expect(await inPage<string>("everything.typedSignIn.byEden('wrong')")).toBe('401')
  })

  test('stays signed in past the access token, refreshes once for all requests, and signs out', async () => {
    const client = postgres(databaseUrl, { max: 1 })
    await client`UPDATE users SET must_change_password = false`
    let renewals = 0
    await page.route(`${server.url}/auth/login`, (route) => {
      if (route.request().postData()?.includes('grant_type=refresh_token')) renewals++
      return route.continue()
    })
    const statuses = () =>
      inPage<number[]>(
        "Promise.all([1, 2, 3].map(() => everything.stay.call('/api/auth/me').then((response) => response.status)))",
      )
    await inPage("everything.stay.signIn('admin', 'changeme')")
    expect(await statuses()).toEqual([200, 200, 200])
    expect(renewals).toBe(0)
    // As after half an hour: the access token has expired and its session is active.
    let refusals = 0
    await page.route(`${server.url}/auth/me`, (route) =>
      refusals++ < 3 ? route.fulfill({ status: 401, body: '{}' }) : route.continue(),
    )
    expect(await statuses()).toEqual([200, 200, 200])
    expect(renewals).toBe(1)
    await inPage('everything.stay.signOut()')
    const [living] =
      await client`SELECT count(*)::int AS n FROM audittrail_sessions WHERE refresh_generation IS NOT NULL AND expires_at > now()`
    expect(living?.n).toBe(0)
    await page.unroute(`${server.url}/auth/me`)
    await page.unroute(`${server.url}/auth/login`)
    await client.end()
  })

  test('fetch signs in with FormData', async () => {
    const answer = await page.evaluate(async () => {
      const body = new FormData()
      body.set('username', 'admin')
      body.set('password', 'changeme')
      const response = await fetch('/api/auth/login', { method: 'POST', body })
      const { access_token: token } = (await response.json()) as { access_token: string }
      return (await fetch('/api/auth/me', { headers: { authorization: `Bearer ${token}` } })).json()
    })
    expect(answer).toMatchObject({ username: 'admin', full_name: 'Default Admin', is_active: true })
  })

  test('fetch reads the error for FormData with a wrong password', async () => {
    const answer = await page.evaluate(async () => {
      const body = new FormData()
      body.set('username', 'admin')
      body.set('password', 'wrong')
      const response = await fetch('/api/auth/login', { method: 'POST', body })
      return { status: response.status, ...((await response.json()) as object) }
    })
    expect(answer).toMatchObject({ status: 401, error: 'invalid_grant', detail: 'Incorrect username or password' })
  })
})
