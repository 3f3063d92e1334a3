import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dir, '..')

/**
 * Returns the types of all routes as one file that imports only `elysia`, for clients to copy.
 * Types imported from a clone would use the clone's Elysia, whose classes differ from the client's.
 */
export function declareRoutes(): string {
  const directory = mkdtempSync(join(tmpdir(), 'audittrail-declarations-'))
  try {
    const project = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        emitDeclarationOnly: true,
        rootDir: join(root, 'src'),
        outDir: directory,
        typeRoots: [join(root, 'node_modules/@types')],
      },
      include: [],
      files: [join(root, 'src/http/routes.ts'), join(root, 'src/assets.d.ts')],
    }
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(project))
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory],
      { encoding: 'utf8' },
    )
    if (status !== 0) throw new Error(stdout)
    return selfContained(readFileSync(join(directory, 'http/routes.d.ts'), 'utf8'))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Extracts the return type of createRoutes, which the compiler has written out in full. */
function selfContained(declarations: string): string {
  const type = /createRoutes\([^)]*\): (Elysia<.*?>);\n(?=\S)/s.exec(declarations)?.[1]
  if (!type || type.includes('import(')) throw new Error('The type of the routes imports other modules.')
  return `// Made by \`bun run declarations\`.\nimport type { Elysia } from 'elysia'\n\nexport type App = ${type}\n`
}

if (import.meta.main) {
  mkdirSync(join(root, 'dist'), { recursive: true })
  writeFileSync(join(root, 'dist/routes.d.ts'), declareRoutes())
}
