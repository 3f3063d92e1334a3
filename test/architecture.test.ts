import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from '@typescript/typescript6'

const source = join(import.meta.dir, '../src')
const files = [...new Bun.Glob('**/*.{ts,tsx}').scanSync(source)].sort()
const texts = new Map(files.map((file) => [file, readFileSync(join(source, file), 'utf8')]))
const importsOf = new Map([...texts].map(([file, text]) => [file, readImports(file, text)]))

/**
 * Layers from the ground up, and in each its rooms from the ground up. A file imports only from its
 * own room, from rooms before it and from layers before its own. A file beside the rooms of a layer
 * is a room by itself.
 */
const layers: Readonly<Record<string, readonly string[]>> = {
  '': [
    'assets.d',
    'algorithms',
    'calendar',
    'clock',
    'error',
    'ipAddress',
    'jsonShape',
    'nearMiss',
    'secretKeys',
    'userFields',
    'uuid',
    'version',
  ],
  system: ['system'],
  telemetry: ['telemetry'],
  config: ['config'],
  db: [
    'textArray',
    'schema',
    'auditSchema',
    'tableShapes',
    'tables',
    'epoch',
    'userSearch',
    'advice',
    'failure',
    'rejection',
    'repeat',
    'batch',
    'changes',
    'hosts',
    'pool',
    'audit',
    'statements',
    'failover',
    'migrations',
    'embedded',
    'database',
  ],
  domain: [
    'transparency',
    'hashes',
    'passwords',
    'uncountedFailures',
    'failureTally',
    'network',
    'refusalBudget',
    'useRecorder',
    'audit',
    'accountStates',
    'witnesses',
    'publishedLog',
    'eventNumbers',
    'auditVerification',
    'accountVerification',
    'exportedLog',
    'offlineVerification',
    'deps',
    'retention',
    'verifiedLog',
    'keys',
    'readiness',
    'sessions',
    'users',
    'history',
    'signIn',
    'apiKeys',
    'import',
    'presentation',
  ],
  pages: ['pages'],
  http: [
    'problem',
    'schema',
    'operation',
    'input',
    'edge',
    'tokens',
    'auth',
    'browser',
    'audit',
    'admin',
    'discovery',
    'pages',
    'probes',
    'routes',
    'server',
  ],
  app: ['app'],
  cli: ['command', 'terminal', 'nginx', 'control', 'commands', 'serve', 'arguments', 'help', 'commandTable', 'run'],
  main: ['main'],
}
const layerNames = Object.keys(layers)
const largestRoom = 14
const longestFile = 250
const longestFunction = 80

/** `db/pool/lanes.ts` is in layer `db`, room `pool`; `db/schema.ts` in room `schema`. */
function placeOf(file: string): { readonly layer: string; readonly room: string } {
  const parts = file.replace(/\.tsx?$/, '').split('/')
  const [first = '', second = ''] = parts
  if (parts.length === 1) return first === 'main' ? { layer: 'main', room: 'main' } : { layer: '', room: first }
  const rooms = layers[first] ?? []
  return { layer: first, room: rooms.includes(first) ? first : second }
}

function readImports(file: string, text: string): string[] {
  return new Bun.Transpiler({ loader: file.endsWith('x') ? 'tsx' : 'ts' })
    .scanImports(text)
    .map(({ path }) => path)
    .concat(typeImports(text))
}

/** The transpiler drops imports that are only types. */
function typeImports(text: string): string[] {
  return [...text.matchAll(/^(?:import|export) .*? from '([^']+)'/gms)].map((match) => match[1] ?? '')
}

function localImports(file: string): string[] {
  return (importsOf.get(file) ?? [])
    .filter((path) => path.startsWith('.'))
    .map((path) => normalize(join(dirname(file), path)))
    .filter((path) => texts.has(path))
}

/** Returns how high a file stands: its layer first, then its room. */
function heightOf(file: string): number {
  const { layer, room } = placeOf(file)
  return layerNames.indexOf(layer) * 100 + (layers[layer] ?? []).indexOf(room)
}

describe('architecture', () => {
  test('every file is in a declared layer and room', () => {
    const isDeclared = ({ layer, room }: ReturnType<typeof placeOf>) => layers[layer]?.includes(room)
    expect(files.filter((file) => !isDeclared(placeOf(file)))).toEqual([])
  })

  test('every declared room exists', () => {
    const taken = new Set(files.map(placeOf).map(({ layer, room }) => `${layer}/${room}`))
    const declared = Object.entries(layers).flatMap(([layer, rooms]) => rooms.map((room) => `${layer}/${room}`))
    expect(declared.filter((room) => !taken.has(room))).toEqual([])
  })

  test.each(files)('%s imports nothing from a higher layer or room', (file) => {
    expect(localImports(file).filter((path) => heightOf(path) > heightOf(file))).toEqual([])
  })

  test('no import is circular', () => {
    const done = new Set<string>()
    const visit = (file: string, path: readonly string[]): void => {
      expect(path.includes(file) ? [...path, file] : []).toEqual([])
      if (done.has(file) || path.includes(file)) return
      for (const next of localImports(file)) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
  })

  test('http does not import db', () => {
    const imports = (file: string) => localImports(file).some((path) => placeOf(path).layer === 'db')
    expect(files.filter((file) => placeOf(file).layer === 'http' && imports(file))).toEqual([])
  })

  test(`no room has more than ${largestRoom} files`, () => {
    const rooms = Map.groupBy(files, dirname)
    const large = [...rooms].filter(([, inside]) => inside.length > largestRoom).map(([room]) => room)
    expect(large).toEqual([])
  })

  test(`no file has more than ${longestFile} lines`, () => {
    const root = join(source, '..')
    const all = [...new Bun.Glob('{src,test,bench,deploy}/**/*.{ts,tsx}').scanSync(root)]
    expect(all.filter((file) => lineCount(readFileSync(join(root, file), 'utf8')) > longestFile)).toEqual([])
  })

  test(`no function has more than ${longestFunction} lines, except lists of routes and statements`, () => {
    expect(files.flatMap(longFunctions)).toEqual([])
  })
})

function lineCount(text: string): number {
  return text.trimEnd().split('\n').length
}

function longFunctions(file: string): string[] {
  const tree = ts.createSourceFile(file, texts.get(file) ?? '', ts.ScriptTarget.Latest, true)
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && lineCount(node.getText()) > longestFunction) {
      const name = node.name?.getText() ?? '(anonymous)'
      if (!/(Routes|Statements)$/.test(name)) found.push(`${file} ${name}`)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return found
}

describe('one home', () => {
  const importing = (pattern: RegExp) =>
    files.filter((file) => (importsOf.get(file) ?? []).some((path) => pattern.test(path)))
  const containing = (pattern: RegExp) => files.filter((file) => pattern.test(texts.get(file) ?? ''))
  const outside = (layer: string, found: readonly string[]) => found.filter((file) => placeOf(file).layer !== layer)

  test('Elysia is imported only in http', () => {
    expect(outside('http', importing(/elysia/))).toEqual([])
  })

  test('Preact is imported only in pages', () => {
    expect(outside('pages', importing(/^preact/))).toEqual([])
  })

  test('Drizzle, postgres.js and PGlite are imported only in db', () => {
    expect(outside('db', importing(/^(drizzle-orm|postgres|@electric-sql)/))).toEqual([])
  })

  test('bun:ffi is imported only in system', () => {
    expect(outside('system', containing(/['"]bun:ffi['"]/))).toEqual([])
  })

  test('the environment is read only in config', () => {
    expect(containing(/process\.env|Bun\.env|import\.meta\.env/)).toEqual(['config/config.ts'])
  })

  test('the application error is the only class', () => {
    expect(containing(/^\s*(export )?(default )?(abstract )?class /m)).toEqual(['error.ts'])
  })

  test('no file or folder is a drawer or a barrel', () => {
    expect(files.filter((file) => /(^|\/)(utils?|helpers?|common|shared|lib|index)(\/|\.tsx?$)/.test(file))).toEqual([])
  })
})
