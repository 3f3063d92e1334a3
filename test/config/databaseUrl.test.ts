import { describe, expect, test } from 'bun:test'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'

describe('a DATABASE_URL', () => {
  test.each(['postgresql', 'postgres', 'postgresql+asyncpg', 'postgresql+psycopg2', 'postgresql+psycopg'])(
    'may begin with %s://',
    (scheme) => {
      expect(parseDatabaseUrl(`${scheme}://ada:p%40ss@db.example:5433/team`)).toEqual({
        host: 'db.example',
        port: 5433,
        database: 'team',
        username: 'ada',
        password: 'p@ss',
        sslmode: 'prefer',
      })
    },
  )

  test('needs no more than a host', () => {
    expect(parseDatabaseUrl('postgresql://db')).toMatchObject({
      host: 'db',
      port: 5432,
      username: 'postgres',
      database: 'postgres',
    })
  })

  test('takes an IPv6 address', () => {
    expect(parseDatabaseUrl('postgresql://[2001:db8::1]:6432/x')).toMatchObject({ host: '2001:db8::1', port: 6432 })
  })

  test('takes the directory of a unix socket', () => {
    expect(parseDatabaseUrl('postgresql://ada@/team?host=/var/run/postgresql')).toMatchObject({
      socketDirectory: '/var/run/postgresql',
      username: 'ada',
      database: 'team',
      sslmode: 'disable',
    })
  })

  test.each([
    ['?sslmode=verify-full&sslrootcert=/etc/ca.pem', { sslmode: 'verify-full', sslrootcert: '/etc/ca.pem' }],
    ['?ssl=require', { sslmode: 'require' }],
    ['?sslmode=disable', { sslmode: 'disable' }],
    ['?pgbouncer=true', { isPooled: true }],
    ['?pgbouncer=false', { isPooled: false }],
    ['', { sslmode: 'prefer' }],
  ])('understands %s', (query, expected) => {
    expect(parseDatabaseUrl(`postgresql://u@db.example/x${query}`)).toMatchObject(expected)
  })

  test('asks for no TLS on the same host unless told to', () => {
    expect(parseDatabaseUrl('postgresql://u@127.0.0.1/x').sslmode).toBe('disable')
    expect(parseDatabaseUrl('postgresql://u@127.0.0.1/x?sslmode=require').sslmode).toBe('require')
  })

  test.each([
    ['a socket written as a host', 'postgresql://u@%2Ftmp%2Fsock/x', { socketDirectory: '/tmp/sock', database: 'x' }],
    ['TLS over a socket, which has none', 'postgresql://u@/x?host=/tmp&sslmode=require', { sslmode: 'disable' }],
    ['the certificates of the system', 'postgresql://u@h/x?sslrootcert=system', { sslmode: 'verify-full' }],
    [
      'what providers add',
      'postgresql://u@h/x?channel_binding=require&options=endpoint%3Da',
      { options: 'endpoint=a' },
    ],
    ['a port in the query', 'postgresql://u@/x?host=h&port=6432', { host: 'h', port: 6432 }],
  ])('takes %s', (_what, text, expected) => {
    expect(parseDatabaseUrl(text)).toMatchObject(expected)
  })

  test.each([
    'mysql://u:hidden@h/x',
    'postgresql://u:hidden@h/x?port=abc',
    'postgresql://u:hidden@h:0/x',
    'postgresql://u:hidden@h:99999/x',
    'postgresql://u:hidden@h/x?sslrootcert=system&sslmode=require',
    'postgresql:u:hidden@h',
    'postgresql://u:hidden@h:port/x',
    'postgresql://u:hid%zzden@h/x',
    'postgresql://u:hidden@h1,h2/x',
    'postgresql://u:hid#den@h/x',
    'postgresql://u:hidden@h/x?sslmode=hidden',
    'postgresql://u:hidden@h/x?hidden=1',
  ])('such as %s is refused without a part of it being shown', (text) => {
    expect(() => parseDatabaseUrl(text)).toThrow()
    try {
      parseDatabaseUrl(text)
    } catch (error) {
      expect((error as Error).message).not.toContain('hid')
    }
  })
})
