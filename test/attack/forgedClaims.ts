import { type Vector, withClaims, withClaimsText } from './forgery.ts'

const now = () => Math.floor(Date.now() / 1000)
const uuid = '5b3c1c9e-2f3c-4b63-8f0b-0d6a3a6a2d10'
const required = ['iss', 'aud', 'sub', 'uid', 'sid', 'jti', 'roles', 'iat', 'exp'] as const

/** Returns one forgery for each value of a claim. */
const each = (name: string, ...values: unknown[]): Vector[] =>
  values.map((value) => [`${name} ${JSON.stringify(value)}`, withClaims({ [name]: value })])

/** A claim whose value is raw text that JSON.stringify would never write. */
const written = (name: string, value: string): Vector => [
  `${name} written ${value}`,
  withClaimsText((text) => text.replace(new RegExp(`"${name}":("[^"]*"|\\d+|\\[[^\\]]*\\])`), `"${name}":${value}`)),
]

const ago = (name: string, seconds: number): Vector => [
  `${name} of ${seconds} s from now`,
  (workshop) => withClaims({ [name]: now() + seconds })(workshop),
]

export const claimVectors: readonly Vector[] = [
  ...required.map((name): Vector => [`no ${name}`, withClaims({ [name]: undefined })]),
  ...required.map((name): Vector => [`${name} null`, withClaims({ [name]: null })]),
  ...each('iss', '', 'Audittrail', 'audittrail/', 'http://127.0.0.1:9', ['audittrail'], { audittrail: 1 }, 0),
  ...each('aud', '', 'AUDITTRAIL', '*', ['audittrail'], ['audittrail', 'other'], [], { 0: 'audittrail' }, true),
  ...each('aud', 'audittrail/', 'audittrail/password-change/', 'audittrail audittrail'),
  ...each('sub', '', 'root', 'ADMIN', 'admin ', 'admin\0', '\0', '\ud800', 'admin\udfff', ['admin'], { admin: 1 }, 0),
  ...each('sub', "admin' OR '1'='1", '%', 'a'.repeat(2000)),
  ...each('uid', uuid, '', '0', "' OR 1=1 --", uuid.toUpperCase(), `{${uuid}}`, [uuid], 1),
  ...each('sid', uuid, '', '../', `${uuid}\n`, `${uuid} `, ` ${uuid}`, [uuid], {}),
  ...each('jti', '', 'x', 0, [uuid]),
  ...each('roles', 'admin', {}, [1], [null], [['admin']], 0, true),
  ...each('iat', '0', -1, 1.5, true, [0], {}, 2 ** 53, 1e300),
  ...each('nbf', '0', -1, 1.5, null, true, [], 2 ** 53),
  ...each('exp', '9999999999', -1, 0, 1.5, true, [9999999999], {}, 2 ** 53, 2 ** 63, 1e300, ''),
  [`exp in half a minute and a half second`, (w) => withClaims({ exp: now() + 30.5 })(w)],
  [`exp as text, in half a minute`, (w) => withClaims({ exp: String(now() + 30) })(w)],
  ago('exp', 0),
  ago('exp', -1),
  ago('exp', -86_400),
  ago('iat', 60),
  ago('iat', 3600),
  ago('nbf', 60),
  ago('nbf', 86_400),
  ...['1e12', '9.9e9', '9999999999.0', '9999999999.5', '-0', '+9999999999', '09999999999', '0x2540be3ff'].map((value) =>
    written('exp', value),
  ),
  ...['NaN', 'Infinity', '1e400', '-1e400', '9007199254740993', '99999999999999999999', '"9999999999"'].map((value) =>
    written('exp', value),
  ),
  written('iat', '1e1'),
  written('iat', '-0'),
  written('sub', '"adm\\u0069n"'),
  written('sub', '"\\u0061dmin"'),
  written('sub', "'admin'"),
  written('roles', '["admin",]'),
  ['exp twice, the later one last', withClaimsText((text) => text.replace('{', '{"exp":1,'))],
  ['exp twice, the later one first', withClaimsText((text) => text.replace(/}$/, ',"exp":1}'))],
  ['exp twice alike', withClaimsText((text) => text.replace(/}$/, `,${/"exp":\d+/.exec(text)?.[0]}}`))],
  ['sub twice, once escaped', withClaimsText((text) => text.replace('{', '{"s\\u0075b":"root",'))],
  ['roles twice', withClaimsText((text) => text.replace('{', '{"roles":["admin"],'))],
  ['an unused member twice', withClaimsText((text) => text.replace('{', '{"x":1,"x":1,'))],
  ['claims inherited by __proto__ alone', withClaimsText((text) => `{"__proto__":${text}}`)],
  ['sid inherited by __proto__', withClaimsText((text) => text.replace(/"sid":("[^"]*")/, '"__proto__":{"sid":$1}'))],
  ['a claim in another case', withClaimsText((text) => text.replace('"exp"', '"Exp"'))],
  ['claims in a list', withClaimsText((text) => `[${text}]`)],
  ['claims in a text', withClaimsText((text) => JSON.stringify(text))],
  ['claims in another object', withClaimsText((text) => `{"claims":${text}}`)],
  ['claims null', withClaimsText(() => 'null')],
  ['no claims', withClaimsText(() => '{}')],
  ['claims of a number', withClaimsText(() => '1')],
  ['claims that are no JSON', withClaimsText((text) => text.slice(0, -1))],
  ['lists a thousand deep', withClaimsText(() => `{"x":${'['.repeat(1000)}${']'.repeat(1000)}}`)],
  ['objects that never end', withClaimsText(() => '{"a":'.repeat(500))],
  ['a text a thousand deep', withClaimsText((text) => text.replace('{', `{"x":${'['.repeat(1000)},`))],
  [
    'a lone surrogate as bytes',
    withClaimsText((text) => Buffer.from(`${text.slice(0, -1)},"x":"\xed\xa0\x80"}`, 'latin1')),
  ],
  ['a byte that is no UTF-8', withClaimsText((text) => Buffer.from(`${text.slice(0, -1)},"x":"\xff"}`, 'latin1'))],
  ['an overlong slash', withClaimsText((text) => Buffer.from(`${text.slice(0, -1)},"x":"\xc0\xaf"}`, 'latin1'))],
  ['UTF-16', withClaimsText((text) => Buffer.from(text, 'utf16le'))],
  ['a byte order mark', withClaimsText((text) => `\ufeff${text}`)],
  ['NUL after the claims', withClaimsText((text) => `${text}\0`)],
  ['a newline after the claims', withClaimsText((text) => `${text}\n`)],
  ['white space in the claims', withClaimsText((text) => text.replace(',', ', '))],
  ['a comment in the claims', withClaimsText((text) => text.replace(',', ',/**/'))],
]
