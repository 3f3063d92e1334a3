import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const source = join(import.meta.dir, '../src')
const transpiler = new Bun.Transpiler({ loader: 'ts' })

/** Returns the packages and our own files that a file imports before it runs. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  // A macro runs at build time. Type imports and `import()` load nothing.
  const code = readFileSync(file, 'utf8').replace(/^import [^;]*? with \{ type: 'macro' \}$/gm, '')
  for (const { path, kind } of transpiler.scanImports(code)) {
    if (kind !== 'import-statement') continue
    if (!path.startsWith('.')) seen.add(path)
    else if (path.endsWith('.ts')) importsOf(join(dirname(file), path), seen)
  }
  return seen
}

const imports = [...importsOf(join(source, 'main.ts'))].map((name) => name.replace(`${source}/`, ''))

test('a server listens before it loads Elysia, Drizzle and the database drivers', () => {
  expect(imports).toContain('ipaddr.js')
  expect(
    imports.filter((name) => /^(elysia|@elysiajs|drizzle-orm|postgres|@electric-sql|csv-parse)/.test(name)),
  ).toEqual([])
})

test('a server listens before it loads the application and the other commands', () => {
  expect(imports).toContain('http/edge/listener.ts')
  expect(
    imports.filter((name) =>
      /^(app\/app|cli\/(commands?\/|commandTable|control)|domain\/(audit|users|import))/.test(name),
    ),
  ).toEqual([])
})
