// Build step: bun deploy/docs.ts
// Packs Swagger UI's script and style for the binary unchanged, with gzip, the encoding in which
// they are sent.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const outputDirectory = join(import.meta.dir, '../dist/docs')
const packageDirectory = dirname(Bun.resolveSync('swagger-ui-dist/package.json', import.meta.dir))

mkdirSync(outputDirectory, { recursive: true })
for (const name of ['swagger-ui-bundle.js', 'swagger-ui.css']) {
  const packed = Bun.gzipSync(readFileSync(join(packageDirectory, name)), { level: 9 })
  writeFileSync(join(outputDirectory, `${name}.gz`), packed)
}
