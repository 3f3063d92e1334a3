import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { environmentDirectory } from './cluster.ts'

/** Returns a line for each program that is missing and how to install it. */
export function missingRequirements(): string[] {
  const isRoot = process.getuid?.() === 0 ? [] : ['root, as which it starts programs as the user postgres']
  const programs = [
    ['haproxy', existsSync('/usr/sbin/haproxy')],
    ['postgresql', [...new Bun.Glob('*/bin/postgres').scanSync('/usr/lib/postgresql')].length > 0],
  ] as const
  const packages = programs.filter(([, exists]) => !exists).map(([name]) => `${name}: apt-get install ${name}`)
  return [...isRoot, ...packages, ...missingPythonPackages()]
}

function missingPythonPackages(): string[] {
  const file = 'deploy/ha/requirements.txt'
  const required = readFileSync(join(import.meta.dir, '../..', file), 'utf8').matchAll(/^([\w-]+).*==(.*)$/gm)
  const installed = [
    ...new Bun.Glob('lib/python3*/site-packages/*.dist-info').scanSync({ cwd: environmentDirectory, onlyFiles: false }),
  ]
  const has = (name: string, version: string) =>
    installed.some((path) => path.endsWith(`/${name.replaceAll('-', '_')}-${version}.dist-info`))
  const missing = [...required].filter(([, name = '', version = '']) => !has(name, version))
  if (missing.length === 0) return []
  const names = missing.map(([, name, version]) => `${name} ${version}`).join(', ')
  return [
    `${names}: /usr/bin/python3 -m venv ${environmentDirectory} && ${environmentDirectory}/bin/pip install -r ${file}`,
  ]
}
