import fc from 'fast-check'
import type { OpenApiOperation } from '../document.ts'

/** Marks fuzzed input, so that a response that echoes it is detected. No request id contains it. */
export const marker = 'zqx9!marker'
/** Part of every password that is sent, correct or not. */
export const passwordMarker = 'pw9zqx-passphrase'
/** The password of every user whose name begins with `fuzzed`. */
export const rightPassword = `${passwordMarker} of them all`

export const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString('latin1'))
export const nastyText = fc.constantFrom(
  `';DROP TABLE users;--${marker}`,
  `${marker}\0`,
  `${marker}\ud800`,
  `\u202e${marker}`,
  `${marker}\r\nX-Own: y`,
  '__proto__',
  'constructor',
  '../../../../etc/passwd',
  '%s%n%x',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '1e3',
  '-1',
  '0x10',
  'NaN',
  `${marker}`.repeat(400),
)
export const text = fc.oneof(
  nastyText,
  fc.string({ unit: 'binary', maxLength: 60 }),
  bytes,
  fc.constant(''),
  fc.constant('admin'),
)

/** Member names from the document, and some that are not in it. */
function fieldsOf({ requestBody }: OpenApiOperation): readonly string[] {
  const schemas = Object.values(requestBody?.content ?? {}).map(({ schema }) => schema as { properties?: object })
  return [...new Set(schemas.flatMap(({ properties = {} }) => Object.keys(properties)))]
}

/** None of them sets a password that the test does not know. */
const passwords = [rightPassword, `${rightPassword}\0`, rightPassword.repeat(60), 'password1234']

const anything = fc.oneof(text, fc.jsonValue(), fc.boolean())
const fitting = new Map<string, fc.Arbitrary<unknown>>(
  Object.entries({
    username: fc.oneof(fc.constantFrom('fuzzed-user', 'admin'), fc.stringMatching(/^[a-z0-9._@+-]{1,12}$/)),
    full_name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }),
    roles: fc.array(fc.oneof(fc.constantFrom('billing', 'admin'), text), { maxLength: 4 }),
    is_active: fc.boolean(),
    must_change_password: fc.boolean(),
    grant_type: fc.constantFrom('password', 'refresh_token'),
    scope: fc.constantFrom('offline_access', 'openid offline_access', marker),
  }),
)

/** A member: often a valid value, sometimes an odd string, sometimes anything. */
function memberFor(name: string): fc.Arbitrary<readonly [string, unknown]> {
  const isPassword = name.includes('password') && !name.startsWith('must')
  const value = isPassword
    ? fc.constantFrom(...passwords)
    : fc.oneof({ weight: 3, arbitrary: fitting.get(name) ?? text }, { weight: 1, arbitrary: anything })
  return fc.tuple(fc.constant(name), value)
}

type Fields = readonly (readonly [string, unknown])[]

function fieldsFor(operation: OpenApiOperation): fc.Arbitrary<Fields> {
  const known = fieldsOf(operation)
  // Built once: building an arbitrary is far slower than drawing from it.
  const members = new Map([...known, '__proto__', 'x'].map((name) => [name, memberFor(name)]))
  const some = fc.subarray([...members.keys()])
  return fc
    .oneof(fc.constant([...known]), fc.subarray([...known]), some)
    .chain((names) => fc.tuple(...names.flatMap((name) => members.get(name) ?? [])))
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
const asJson = (fields: Fields) => JSON.stringify(Object.fromEntries(fields))
const asForm = (fields: Fields) =>
  fields.map(([name, value]) => `${name}=${encodeURIComponent(textOf(value).toWellFormed())}`).join('&')
const asParts = (fields: Fields) =>
  `${fields.map(([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${textOf(value)}\r\n`).join('')}--b--\r\n`

const odd = fc.constantFrom(
  '',
  'null',
  '[]',
  '{',
  '"',
  '{"a":1,"a":2}',
  `${'['.repeat(5000)}${']'.repeat(5000)}`,
  `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`,
  '{"username":"\\ud800"}',
  'a=b&a=b',
  '%zz=%zz',
  '--b\r\n\r\n',
  '9'.repeat(60_000),
)

/**
 * A body for an operation: mostly well-formed, sometimes in another format, broken, or random
 * bytes.
 */
export function bodyFor(operation: OpenApiOperation, mediaType: string): fc.Arbitrary<Uint8Array> {
  const written = [asJson, asForm, asParts].map((write) => fieldsFor(operation).map(write))
  const [json, form, parts] = written
  const suitable = mediaType.includes('json') ? json : mediaType.includes('multipart') ? parts : form
  const textual = fc.oneof(
    { weight: 6, arbitrary: suitable ?? odd },
    { weight: 1, arbitrary: fc.oneof(...written, odd) },
  )
  const asBytes = textual.map((body) => new Uint8Array(Buffer.from(body)))
  return fc.oneof({ weight: 9, arbitrary: asBytes }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 500 }) })
}
