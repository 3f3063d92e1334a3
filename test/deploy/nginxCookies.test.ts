import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { hasNginx } from './nginx.ts'
import { get, type ProtectedSite, startProtectedSite } from './nginxUpstream.ts'

const token = `ats_${'A'.repeat(70)}`
const other = `ats_${'B'.repeat(70)}`
const ours = `audittrail=${token}`

describe.skipIf(!hasNginx)('cookies behind Nginx', () => {
  let site: ProtectedSite

  beforeAll(async () => {
    site = await startProtectedSite(['--sign-in', 'on', '--upstream', '/a=http://HOST'])
  })
  afterAll(() => site?.stop())

  /** Returns the cookies that the service and AuditTrail received. */
  async function cookiesFor(...cookies: string[]) {
    site.received.splice(0)
    site.verified.splice(0)
    const status = await site.send(
      get(
        '/a',
        cookies.map((cookie) => `Cookie: ${cookie}`),
      ),
    )
    expect(status).toBe(200)
    return { service: site.received[0]?.headers.cookie, verify: site.verified[0]?.headers.cookie }
  }

  test.each([
    ['a=1', 'a=1'],
    ['a=1; b=2; c="x y,z"', 'a=1; b=2; c="x y,z"'],
    ['xaudittrail=1; audittrail-x=2; audittrail_device=3; AuditTrail=4', undefined],
    ['a=audittrail; b=x=y; audittrailer=1', undefined],
    ['a=audittrail=1', undefined],
    ['grafana_audittrail=1', undefined],
  ])('of services arrive whole: %s', async (cookies, expected = cookies) => {
    expect(await cookiesFor(cookies)).toEqual({ service: expected, verify: undefined })
  })

  test.each([
    [ours, undefined],
    [`${ours}; a=1; b=2`, 'a=1; b=2'],
    [`a=1; ${ours}; b=2`, 'a=1; b=2'],
    [`a=1; b=2; ${ours}`, 'a=1; b=2'],
    [`a=1;${ours};b=2`, 'a=1;b=2'],
    [`a=1; ${ours};`, 'a=1'],
    [`a=1 ;  ${ours} ; b=2`, 'a=1 ;  b=2'],
    [`theme="dark"; ${ours}; grafana_session=abc=; _ga=GA1.2`, 'theme="dark"; grafana_session=abc=; _ga=GA1.2'],
  ])('of the session reach AuditTrail and no service: %s', async (cookies, expected) => {
    expect(await cookiesFor(cookies)).toEqual({ service: expected, verify: ours })
  })

  test('of the session that stand in a second header reach no service', async () => {
    expect(await cookiesFor('a=1', ours, 'b=2')).toEqual({ service: 'a=1; b=2', verify: ours })
    expect(await cookiesFor(ours, ours)).toEqual({ service: undefined, verify: undefined })
  })

  test.each([
    [`${ours}; audittrail=${other}`],
    [`${ours}; a=1; ${ours}`],
    [`audittrail=; ${ours}`],
    [`${ours}; audittrail =x`],
    [`a=1, ${ours}; ${ours}`],
    [`a="${ours}"; a=1 ${ours}; ${ours}`],
  ])('of which two have the name of the session count as none: %s', async (cookies) => {
    expect(await cookiesFor(cookies)).toEqual({ service: undefined, verify: undefined })
  })

  test.each([
    ['a=1; audittrail=ats_short; b=2'],
    [`a=1; audittrail=${token}!; b=2`],
    [`a=1; audittrail="${token}"; b=2`],
    [`a=1; audittrail= ${token}; b=2`],
    [`a=1; audittrail =${token}; b=2`],
    ['a=1; audittrail=; b=2'],
    [`a=1; audittrail=${'x'.repeat(3000)}; b=2`],
    ['a=1; audittrail=\xff\x80; b=2'],
  ])('of the session that are malformed reach neither AuditTrail nor a service: %p', async (cookies) => {
    expect(await cookiesFor(cookies)).toEqual({ service: 'a=1; b=2', verify: undefined })
  })

  test('of an encrypted session reach no service without encryption either', async () => {
    const encrypted = `__Host-audittrail=${token}`
    expect(await cookiesFor(`a=1; ${encrypted}; b=2; ${ours}`)).toEqual({ service: 'a=1; b=2', verify: ours })
    expect(await cookiesFor(encrypted)).toEqual({ service: undefined, verify: undefined })
    expect(await cookiesFor(`${encrypted}; ${encrypted}; a=1`)).toEqual({ service: undefined, verify: undefined })
  })

  test('of random order and number never bring the session to a service', async () => {
    const pieces = [
      'a=1',
      ours,
      `audittrail=${other}`,
      `__Host-${ours}`,
      ';',
      ' ',
      '',
      '=',
      'audittrail',
      ',',
      '"',
      '\t',
    ]
    let state = 7
    const next = (count: number) => {
      state = (state * 48271) % 2147483647
      return state % count
    }
    for (let round = 0; round < 400; round++) {
      const list = Array.from({ length: next(7) }, () => pieces[next(pieces.length)])
      const { service } = await cookiesFor(list.join(next(2) ? '; ' : ';'))
      expect({ list, leaks: /(?:^|;)\s*(?:__Host-)?audittrail\s*=/.test(service ?? '') }).toEqual({
        list,
        leaks: false,
      })
    }
  })

  test('long enough to exhaust a pattern reach no service', async () => {
    for (const filler of [
      '; '.repeat(3000),
      ';'.repeat(6000),
      ' '.repeat(6000),
      'audittrail='.repeat(500),
      'a=1;\t'.repeat(1200),
    ])
      expect((await cookiesFor(`${filler}; ${ours}`)).service ?? '').not.toContain('ats_')
  })

  test('reach AuditTrail itself unchanged', async () => {
    site.verified.splice(0)
    await site.send(get('/api/auth/session', [`Cookie: a=1; ${ours}; ${ours}`]))
    expect(site.verified).toMatchObject([{ headers: { cookie: `a=1; ${ours}; ${ours}` } }])
  })
})
