import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dir, '../..')
const page = readFileSync(join(root, 'docs/frontend.md'), 'utf8')

/** Code blocks whose first line names a file, by that name. */
export const snippets: ReadonlyMap<string, string> = new Map(
  [...page.matchAll(/^```\w+\n(?:\/\/|<!--) ([\w.]+)(?: -->)?\n(.*?)^```$/gms)].map(([, name = '', code = '']) => [
    name,
    code,
  ]),
)

/** The shell's code blocks, line by line. */
export const commands: readonly string[] = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, code = '']) =>
  code.trim().split('\n'),
)

export interface Outcome {
  readonly status: number | null
  readonly output: string
}

export interface FrontendProject {
  readonly directory: string
  write(name: string, code: string): void
  read(name: string): string
  /** openapi-typescript, with these arguments. */
  generateTypes(...args: string[]): Outcome
  /** The types of the routes, as `bun run declarations` leaves them. */
  copyRoutes(): void
  /** The compiler, on everything in the project. */
  typeCheck(): Outcome
  /** One script for the browser. */
  bundle(name: string): Promise<string>
  remove(): void
}

/**
 * A front end's own project, with every snippet of docs/frontend.md in a file of its name. It lies inside the repository to find
 * the packages there. openapi-typescript needs a TypeScript with an API, which 7 has not, so that it gets an older one.
 */
export function makeFrontendProject(): FrontendProject {
  mkdirSync(join(root, 'build'), { recursive: true })
  const directory = mkdtempSync(join(root, 'build/frontend-'))
  const packages = join(directory, 'node_modules')
  cpSync(join(root, 'node_modules/openapi-typescript'), join(packages, 'openapi-typescript'), { recursive: true })
  symlinkSync(join(root, 'node_modules/@typescript/typescript6'), join(packages, 'typescript'), 'dir')
  const write = (name: string, code: string) => writeFileSync(join(directory, name), code)
  for (const [name, code] of snippets) write(name, code)
  write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }))

  return {
    directory,
    write,
    read: (name) => readFileSync(join(directory, name), 'utf8'),
    generateTypes: (...args) => run(directory, [join(packages, 'openapi-typescript/bin/cli.js'), ...args]),
    copyRoutes: () => {
      const { status, output } = run(root, ['run', 'declarations'])
      if (status !== 0) throw new Error(output)
      copyFileSync(join(root, 'dist/routes.d.ts'), join(directory, 'routes.d.ts'))
    },
    typeCheck: () => run(directory, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.']),
    bundle: async (name) => {
      const { outputs } = await Bun.build({ entrypoints: [join(directory, name)], target: 'browser' })
      return (await outputs[0]?.text()) ?? ''
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** What `npm create vite` gives a project in TypeScript, as far as it matters to types. */
const compilerOptions = {
  target: 'ES2022',
  module: 'ESNext',
  moduleResolution: 'bundler',
  lib: ['ES2022', 'DOM', 'DOM.Iterable'],
  types: [],
  strict: true,
  noUnusedLocals: true,
  skipLibCheck: true,
  noEmit: true,
}

function run(cwd: string, args: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}
