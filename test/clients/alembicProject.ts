import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '../endOfFile.ts'

/** A FastAPI team's Alembic project in a directory of its own. */
export interface AlembicProject {
  /** Runs Debian's Alembic. Throws what it prints if it fails. */
  alembic(args: readonly string[], environment?: Readonly<Record<string, string>>): void
  /** Returns the text of the revision with this message. */
  revision(message: string): string
  /** Deletes the revision with this message. */
  discard(message: string): void
  /** Writes a file beside the models, and returns its path. */
  write(name: string, text: string): string
  remove(): void
}

export function makeAlembicProject(databaseUrl: string): AlembicProject {
  const directory = temporaryDirectory('alembic')
  const scripts = join(directory, 'migrations')
  const versions = join(scripts, 'versions')
  const fileOf = (message: string) =>
    join(versions, readdirSync(versions).find((name) => name.endsWith(`_${message}.py`)) ?? message)
  mkdirSync(versions, { recursive: true })
  const source = join(import.meta.dir, 'alembic')
  cpSync(join(source, 'models.py'), join(directory, 'models.py'))
  for (const name of ['env.py', 'script.py.mako']) cpSync(join(source, name), join(scripts, name))
  writeFileSync(join(directory, 'alembic.ini'), '[alembic]\nscript_location = migrations\nprepend_sys_path = .\n')
  return {
    alembic(args, environment = {}) {
      const { status, stdout, stderr } = spawnSync('/usr/bin/python3', ['-m', 'alembic.config', ...args], {
        cwd: directory,
        env: { DATABASE_URL: databaseUrl, PYTHONDONTWRITEBYTECODE: '1', PATH: '/usr/bin:/bin', ...environment },
        encoding: 'utf8',
        timeout: 60_000,
      })
      if (status !== 0) throw new Error(`alembic ${args.join(' ')}: ${stdout}${stderr}`)
    },
    revision: (message) => readFileSync(fileOf(message), 'utf8'),
    discard: (message) => rmSync(fileOf(message)),
    write(name, text) {
      const file = join(directory, name)
      writeFileSync(file, text)
      return file
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
