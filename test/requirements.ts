import { existsSync } from 'node:fs'

/**
 * Returns whether a program exists (a name on PATH, or an absolute path). If not, prints how to
 * install it and the tests that need it are skipped. In CI, where a skip is a failure, it throws.
 */
export function hasProgram(program: string, debianPackage: string): boolean {
  if (program.startsWith('/') ? existsSync(program) : Bun.which(program) !== null) return true
  if (process.env.CI === 'true')
    throw new Error(`${program} is not here: install ${debianPackage} (apt-get install ${debianPackage})`)
  console.log(`skipped: ${program} is not here; its tests need ${debianPackage} (apt-get install ${debianPackage})`)
  return false
}
