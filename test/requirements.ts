import { existsSync } from 'node:fs'

/**
 * Whether a program is there (a name to look for on PATH, or an absolute path). Where it is not: a line that says how to
 * get it, and the tests that need it are skipped; in CI, where a skip is a failure, an error.
 */
export function hasProgram(program: string, debianPackage: string): boolean {
  if (program.startsWith('/') ? existsSync(program) : Bun.which(program) !== null) return true
  if (process.env.CI === 'true')
    throw new Error(`${program} is not here: install ${debianPackage} (apt-get install ${debianPackage})`)
  console.log(`skipped: ${program} is not here; its tests need ${debianPackage} (apt-get install ${debianPackage})`)
  return false
}
