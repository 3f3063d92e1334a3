import { describe, expect, test } from 'bun:test'
import { listAddresses, parseDatabaseUrl } from '../../src/config/databaseUrl.ts'

/** `host:port`, with the address or the socket directory in place of the host if there is one. */
const hostsOf = (text: string) =>
  listAddresses(parseDatabaseUrl(text)).map(
    ({ host, port, hostaddr, socketDirectory }) =>
      `${socketDirectory ?? host}${hostaddr === undefined ? '' : `=${hostaddr}`}:${port}`,
  )

describe('several hosts in DATABASE_URL', () => {
  test.each([
    ['u:p@h1:1,h2:2/x', ['h1:1', 'h2:2']],
    ['u:p@h1,h2,h3/x', ['h1:5432', 'h2:5432', 'h3:5432']],
    ['u:p@h1:1,h2/x', ['h1:1', 'h2:5432']],
    ['u:p@h1,h2:2/x', ['h1:5432', 'h2:2']],
    ['u:p,a,b@h1,h2/x', ['h1:5432', 'h2:5432']],
    ['h1:1,h2:2', ['h1:1', 'h2:2']],
    ['u@[::1]:1,[2001:db8::1],h/x', ['::1:1', '2001:db8::1:5432', 'h:5432']],
    ['u@%2Ftmp%2Fa:1,%2Ftmp%2Fb/x', ['/tmp/a:1', '/tmp/b:5432']],
    ['u@h1%2Ch2/x', ['h1:5432', 'h2:5432']],
    ['u@,h2:2/x', ['localhost:5432', 'h2:2']],
    ['u@:1,h2/x', ['localhost:1', 'h2:5432']],
    ['u@h1:,h2:/x', ['h1:5432', 'h2:5432']],
    ['u@h1,h1:5432,h2/x', ['h1:5432', 'h2:5432']],
    ['u@/x?host=h1,h2&port=1,2', ['h1:1', 'h2:2']],
    ['u@/x?host=h1,h2&port=1', ['h1:1', 'h2:1']],
    ['u@/x?host=h1,h2&port=1,', ['h1:1', 'h2:5432']],
    ['u@/x?host=h0&host=h1,h2&port=9&port=1,2', ['h1:1', 'h2:2']],
    ['u@h0:1,h0:2/x?host=h1,h2', ['h1:1', 'h2:2']],
    ['u@h1:1,h2:2/x?port=3,4', ['h1:3', 'h2:4']],
    ['u@h1:1,h2:2/x?hostaddr=192.0.2.1,2001:db8::2', ['h1=192.0.2.1:1', 'h2=2001:db8::2:2']],
    ['u@h1,h2/x?hostaddr=192.0.2.1,', ['h1=192.0.2.1:5432', 'h2:5432']],
    ['u@/x?hostaddr=192.0.2.1,192.0.2.2', ['192.0.2.1=192.0.2.1:5432', '192.0.2.2=192.0.2.2:5432']],
    ['u@/x?host=%2Ftmp,h2&port=1,2', ['/tmp:1', 'h2:2']],
    ['u@%40name,h2/x', ['@name:5432', 'h2:5432']],
    ['u@/x?host=%40name,h2', ['@name:5432', 'h2:5432']],
    ['u@h1,h2/x?port=%201%20,02', ['h1:1', 'h2:2']],
  ])('are read from %s', (text, expected) => {
    expect(hostsOf(`postgresql://${text}`)).toEqual(expected)
  })

  test.each([
    ['u@/x?host=h1:1&host=h2:2', ['h1:1', 'h2:2']],
    ['u@/x?host=h1&host=h2:2', ['h1:5432', 'h2:2']],
    ['u@/x?host=h1,h2&port=1,2', ['h1:1', 'h2:2']],
    ['u@/x?host=h1:1', ['h1:1']],
  ])("are read from SQLAlchemy's %s", (text, expected) => {
    expect(hostsOf(`postgresql+asyncpg://${text}`)).toEqual(expected)
  })

  test('share the login, and have a default of sslmode each', () => {
    const addresses = listAddresses(parseDatabaseUrl('postgresql://u:p@127.0.0.1,db,%2Ftmp/x?options=-cx%3D1'))
    expect(addresses.map(({ sslmode }) => sslmode)).toEqual(['allow', 'prefer', 'disable'])
    for (const address of addresses)
      expect(address).toMatchObject({ username: 'u', password: 'p', database: 'x', options: '-cx=1' })
  })

  test.each(['any', 'read-write', 'primary'])('accept target_session_attrs=%s', (value) => {
    expect(hostsOf(`postgresql://h1,h2/x?target_session_attrs=${value}`)).toHaveLength(2)
  })

  test.each(['standby', 'prefer-standby', 'read-only', 'slave', ''])('refuse target_session_attrs=%s', (value) => {
    expect(() => parseDatabaseUrl(`postgresql://h1,h2/x?target_session_attrs=${value}`)).toThrow(
      'must set target_session_attrs to any, read-write or primary, which all mean the primary',
    )
  })

  test.each([
    ['u@h1:1,h2:2,h3:3/x?port=1,2', 'must have one port, or one for each host (got 2 for 3)'],
    ['u@h1,h2/x?hostaddr=192.0.2.1', 'must have as many hosts as hostaddr values (got 2 and 1)'],
    ['u@h1,h2/x?hostaddr=192.0.2.1,h2', 'must set hostaddr to IP addresses'],
    ['u@h1:0,h2/x', 'must have a port from 1 to 65535'],
    ['u@h1:1,h2:65536/x', 'must have a port from 1 to 65535'],
    ['u@h1:1,h2:p/x', 'must have the form'],
    ['u@[]:1,h2/x', 'must have the form'],
    ['u@[::1,h2/x', 'must have the form'],
    ['u@::1,h2/x', 'must have the form'],
  ])('refuse %s', (text, message) => {
    expect(() => parseDatabaseUrl(`postgresql://${text}`)).toThrow(message)
  })
})
