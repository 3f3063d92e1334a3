import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const source = join(import.meta.dir, '../src')
const transpiler = new Bun.Transpiler({ loader: 'ts' })

/** Returns the packages that a file imports before it runs, with the file that does. */
function packagesOf(file: string, seen = new Set<string>()): Map<string, string> {
  const packages = new Map<string, string>()
  if (seen.has(file)) return packages
  seen.add(file)
  // A macro runs at build time. Type imports and `import()` load nothing.
  const code = readFileSync(file, 'utf8').replace(/^import [^;]*? with \{ type: 'macro' \}$/gm, '')
  for (const { path, kind } of transpiler.scanImports(code)) {
    if (kind !== 'import-statement') continue
    if (!path.startsWith('.')) packages.set(path, file.slice(source.length + 1))
    else if (path.endsWith('.ts'))
      for (const [name, importer] of packagesOf(join(dirname(file), path), seen)) packages.set(name, importer)
  }
  return packages
}

test('a server listens before it loads Elysia, Drizzle and the database drivers', () => {
  const packages = packagesOf(join(source, 'main.ts'))
  expect(packages.has('ipaddr.js')).toBe(true)
  const heavy = [...packages].filter(([name]) => /^(elysia|@elysiajs|drizzle-orm|postgres|@electric-sql)/.test(name))
  expect(heavy).toEqual([])
})
