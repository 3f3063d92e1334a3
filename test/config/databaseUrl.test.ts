import { describe, expect, test } from 'bun:test'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'

describe('DATABASE_URL', () => {
  test.each(['postgresql', 'postgres', 'postgresql+asyncpg', 'postgresql+psycopg2', 'postgresql+psycopg'])(
    'accepts the scheme %s://',
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

  test('requires only a host', () => {
    expect(parseDatabaseUrl('postgresql://db')).toMatchObject({
      host: 'db',
      port: 5432,
      username: 'postgres',
      database: 'postgres',
    })
  })

  test('accepts an IPv6 address', () => {
    expect(parseDatabaseUrl('postgresql://[2001:db8::1]:6432/x')).toMatchObject({ host: '2001:db8::1', port: 6432 })
  })

  test('accepts the directory of a Unix socket', () => {
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
    ['?keepalives=0&keepalives_idle=9', { keepalive: 'off' }],
    ['?keepalives=1', { keepalive: {} }],
    [
      '?keepalives_idle=30&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=9000',
      { keepalive: { idle: 30, interval: 5, count: 3, userTimeout: 9000 } },
    ],
    ['?keepalives_idle=0&keepalives_count=-1', { keepalive: { idle: 0, count: 0 } }],
  ])('parses the query "%s"', (query, expected) => {
    expect(parseDatabaseUrl(`postgresql://u@db.example/x${query}`)).toMatchObject(expected)
  })

  test('uses TLS on loopback only if the URL says so', () => {
    expect(parseDatabaseUrl('postgresql://u@127.0.0.1/x').sslmode).toBe('disable')
    expect(parseDatabaseUrl('postgresql://u@127.0.0.1/x?sslmode=require').sslmode).toBe('require')
  })

  test.each([
    ['a socket written as a host', 'postgresql://u@%2Ftmp%2Fsock/x', { socketDirectory: '/tmp/sock', database: 'x' }],
    [
      'sslmode with a socket, where it has no effect',
      'postgresql://u@/x?host=/tmp&sslmode=require',
      { sslmode: 'disable' },
    ],
    [
      'sslrootcert=system, which implies verify-full',
      'postgresql://u@h/x?sslrootcert=system',
      { sslmode: 'verify-full' },
    ],
    [
      'parameters that hosting providers add',
      'postgresql://u@h/x?channel_binding=require&options=endpoint%3Da',
      { options: 'endpoint=a' },
    ],
    ['a port in the query', 'postgresql://u@/x?host=h&port=6432', { host: 'h', port: 6432 }],
  ])('accepts %s', (_what, text, expected) => {
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
    'postgresql://u:hidden@h/x?keepalives=hidden',
    'postgresql://u:hidden@h/x?keepalives_idle=hidden',
  ])('rejects %s without echoing any of it', (text) => {
    expect(() => parseDatabaseUrl(text)).toThrow()
    try {
      parseDatabaseUrl(text)
    } catch (error) {
      expect((error as Error).message).not.toContain('hid')
    }
  })

  test.each([
    ['mysql://u:p@h/x', 'must start with postgres:// or postgresql:// (got mysql://)'],
    ['h:5432/x', 'must start with postgres:// or postgresql://'],
  ])('rejects %s and names the accepted schemes', (text, message) => {
    expect(() => parseDatabaseUrl(text)).toThrow(new Error(message))
  })
})
