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
    ['?ssl=true', { sslmode: 'require' }],
    ['?ssl=1', { sslmode: 'require' }],
    ['?ssl=0', { sslmode: 'disable' }],
    ['?sslmode=require&sslaccept=strict', { sslmode: 'verify-full' }],
    ['?sslmode=require&sslaccept=accept_invalid_certs', { sslmode: 'require' }],
    ['?sslmode=allow', { sslmode: 'allow' }],
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

  test.each(['127.0.0.1', 'localhost', '[::1]', ''])('tries without TLS first on the loopback address "%s"', (host) => {
    expect(parseDatabaseUrl(`postgresql://u@${host}/x`).sslmode).toBe('allow')
  })

  test('uses sslmode of the URL on loopback', () => {
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

  test('takes no-verify as require without a root certificate', () => {
    const address = parseDatabaseUrl('postgresql://u@h/x?sslmode=no-verify&sslrootcert=/etc/ca.pem')
    expect(address).toMatchObject({ sslmode: 'require' })
    expect(address).not.toHaveProperty('sslrootcert')
  })

  test.each([
    [
      'Prisma',
      'schema=public&connection_limit=1&pool_timeout=20&socket_timeout=5&statement_cache_size=0&pgbouncer=true',
    ],
    ['Supabase', 'pgbouncer=true&connection_limit=1&supa=base-pooler.x&workaround=supabase-pooler.vercel'],
    [
      'node-postgres',
      'uselibpqcompat=true&sslmode=require&statement_timeout=1000&query_timeout=1000&max=20&keepAlive=true',
    ],
    ['postgres.js', 'max=1&idle_timeout=20&max_lifetime=60&prepare=false&fetch_types=false'],
    ['libpq', 'connect_timeout=10&application_name=x&client_encoding=utf8&target_session_attrs=read-write&sslsni=1'],
  ])('accepts parameters of %s that have no effect', (_what, query) => {
    expect(parseDatabaseUrl(`postgresql://u:p@h/x?${query}`)).toMatchObject({ host: 'h', database: 'x' })
  })

  test.each([
    ['schema=auth', 'schema, which is not supported: write options=-c%20search_path%3DNAME instead'],
    ['sslcert=/x&sslkey=/y', 'sslcert, which is not supported: AuditTrail signs in with a password'],
    ['sslidentity=/x', 'sslidentity'],
    ['service=x', 'service, which is not supported'],
    ['require_auth=scram-sha-256', 'require_auth'],
    ['ssl_min_protocol_version=TLSv1.3', 'ssl_min_protocol_version'],
  ])('names the parameter in ?%s, which must not be ignored', (query, message) => {
    expect(() => parseDatabaseUrl(`postgresql://u:p@h/x?${query}`)).toThrow(`must not use the parameter ${message}`)
  })

  test.each([
    ['a raw @', 'p@ss', 'p@ss'],
    ['several', '@p@@ss@', '@p@@ss@'],
    ['a colon', 'p:a:ss', 'p:a:ss'],
    ['escaped delimiters', 'p%2Fa%3Fs%23s', 'p/a?s#s'],
    ['other punctuation', "p!$&'()*+,;=[]^|~s", "p!$&'()*+,;=[]^|~s"],
    ['characters beyond ASCII', 'pässwörd', 'pässwörd'],
    ['a space', 'p ss', 'p ss'],
  ])('accepts a password with %s', (_what, written, password) => {
    expect(parseDatabaseUrl(`postgresql://u:${written}@h:5432/x`)).toMatchObject({ username: 'u', password, host: 'h' })
  })

  test.each([
    'hid/den',
    '12/den',
    '/den',
    'hid?den',
    '12?den',
    '?den',
    'hid#den',
    '12#den',
    '#den',
    'a@12/den',
    'a@b?den',
  ])('says to percent-encode the password %s, without echoing it', (password) => {
    const parse = () => parseDatabaseUrl(`postgresql://u:${password}@h:5432/x?sslmode=require`)
    expect(parse).toThrow('percent-encode')
    expect(parse).not.toThrow(/den|hid/)
  })

  test('takes + in the query literally', () => {
    expect(parseDatabaseUrl('postgresql://u@h/x?password=a+b%20c')).toMatchObject({ password: 'a+b c' })
  })

  test.each([
    'postgresql://u:hid\tden@h/x',
    'mysql://u:hidden@h/x',
    'postgresql://u:hidden@h/x?port=abc',
    'postgresql://u:hidden@h:0/x',
    'postgresql://u:hidden@h:99999/x',
    'postgresql://u:hidden@h/x?sslrootcert=system&sslmode=require',
    'postgresql:u:hidden@h',
    'postgresql://u:hidden@h:port/x',
    'postgresql://u:hid%zzden@h/x',
    'postgresql://u:hidden@h1:1,h2:2,h3/x?port=1,2',
    'postgresql://u:hidden@h/x?hostaddr=hidden',
    'postgresql://u:hidden@h/x?target_session_attrs=hidden',
    'postgresql://u:hidden@[::1,h/x',
    'postgresql://u:hidden@hid den,h/x',
    'postgresql://u:hid#den@h/x',
    'postgresql://u:hidden@h/x?sslmode=hidden',
    'postgresql://u:hidden@h/x?hidden=1',
    'postgresql://u:12?hidden@h/x',
    'postgresql://u:12?hidden=hidden@h/x',
    'postgresql://u:12?ssl=hidden@h/x',
    'postgresql://u:hidden@h/x?sslaccept=hidden',
    'postgresql://u:hidden@h/x?schema=hidden',
    'postgresql://u:hidden@h/x?constructor=hidden',
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
    ['jdbc:postgresql://h/x', 'must start with postgres:// or postgresql:// (got jdbc:postgresql://)'],
    ['"postgres://u:p@h/x"', 'must start with postgres:// or postgresql:// (remove the quotes)'],
    [' postgres://u:p@h/x', 'must start with postgres:// or postgresql:// (remove the space before it)'],
    [' ', 'must start with postgres:// or postgresql:// (it is blank)'],
    ['secret:word@h/x', 'must start with postgres:// or postgresql://'],
    ['h:5432/x', 'must start with postgres:// or postgresql://'],
  ])('rejects %s and names the accepted schemes', (text, message) => {
    expect(() => parseDatabaseUrl(text)).toThrow(new Error(message))
  })
})
