// Build step: bun deploy/pages.ts
// Minifies the style and the script of the pages for the binary.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const outputDirectory = join(import.meta.dir, '../dist/pages')
const source = join(import.meta.dir, '../src/pages')

mkdirSync(outputDirectory, { recursive: true })
// The script is stored as .txt: imported as .js, it would be a part of the program.
for (const [name, output] of [
  ['page.css', 'page.css'],
  ['page.browser.ts', 'page.browser.txt'],
] as const) {
  const { outputs } = await Bun.build({ entrypoints: [join(source, name)], minify: true, target: 'browser' })
  const [built] = outputs
  if (!built || outputs.length !== 1) throw new Error(`${name} must build to one file.`)
  writeFileSync(join(outputDirectory, output), await built.text())
}
