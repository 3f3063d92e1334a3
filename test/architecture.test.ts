import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const source = join(import.meta.dir, '../src')
const files = [...new Bun.Glob('**/*.ts').scanSync(source)].sort()
const importsOf = new Map(files.map((file) => [file, readImports(file)]))

/** Design §3. What stands at the root of src beside the named files is the ground that everybody may stand on. */
const layers = ['ground', 'db', 'domain', 'http', 'app', 'cli', 'main']

function layerOf(file: string): string {
  const [first = ''] = file.split('/')
  if (layers.includes(first)) return first
  return file === 'app.ts' ? 'app' : file === 'main.ts' ? 'main' : 'ground'
}

function readImports(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8')
  return new Bun.Transpiler({ loader: 'ts' })
    .scanImports(text)
    .map(({ path }) => path)
    .concat(typeImports(text))
}

/** The transpiler leaves out what is imported for its types alone; an arrow is an arrow. */
function typeImports(text: string): string[] {
  return [...text.matchAll(/^(?:import|export) .*? from '([^']+)'/gms)].map((match) => match[1] ?? '')
}

function localImports(file: string): string[] {
  return (importsOf.get(file) ?? [])
    .filter((path) => path.startsWith('.'))
    .map((path) => normalize(join(dirname(file), path)))
}

describe('the layers', () => {
  test.each(files)('%s imports nothing from above', (file) => {
    const own = layers.indexOf(layerOf(file))
    const upward = localImports(file).filter((path) => !path.startsWith('..') && layers.indexOf(layerOf(path)) > own)
    expect(upward).toEqual([])
  })

  test('no file of http imports db', () => {
    const wrong = files.filter(
      (file) => layerOf(file) === 'http' && localImports(file).some((path) => layerOf(path) === 'db'),
    )
    expect(wrong).toEqual([])
  })

  test('no import runs in a circle', () => {
    const done = new Set<string>()
    const visit = (file: string, trail: readonly string[]): void => {
      expect(trail.includes(file) ? [...trail, file] : []).toEqual([])
      if (done.has(file) || trail.includes(file)) return
      for (const next of localImports(file).filter((path) => importsOf.has(path))) visit(next, [...trail, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
  })
})

describe('what belongs to one place', () => {
  const naming = (pattern: RegExp) =>
    files.filter((file) => (importsOf.get(file) ?? []).some((path) => pattern.test(path)))
  const holding = (pattern: RegExp) => files.filter((file) => pattern.test(readFileSync(join(source, file), 'utf8')))

  test('Elysia stays in http', () => {
    expect(naming(/elysia/).filter((file) => layerOf(file) !== 'http')).toEqual([])
  })

  test('Drizzle and postgres.js stay in db', () => {
    expect(naming(/^(drizzle-orm|postgres|@electric-sql)/).filter((file) => layerOf(file) !== 'db')).toEqual([])
  })

  test('the environment is read in config alone', () => {
    expect(holding(/process\.env|Bun\.env|import\.meta\.env/)).toEqual(['config.ts'])
  })

  test('there is one class, the application error', () => {
    expect(holding(/^\s*(export )?(default )?(abstract )?class /m)).toEqual(['error.ts'])
  })

  test('there is no drawer and no barrel', () => {
    expect(files.filter((file) => /(^|\/)(utils?|helpers?|common|shared|lib|index)(\/|\.ts$)/.test(file))).toEqual([])
  })

  test('no file is longer than 250 lines', () => {
    expect(files.filter((file) => readFileSync(join(source, file), 'utf8').split('\n').length > 251)).toEqual([])
  })
})
