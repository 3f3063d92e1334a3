// Build step: bun deploy/commonPasswords.ts
// Packs the list of common passwords for the binary: one per line, in lower case, zstd.
// Source: the package @zxcvbn-ts/language-common (MIT).
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dictionary } from '@zxcvbn-ts/language-common'

const outputDirectory = join(import.meta.dir, '../dist/passwords')
const passwords = [...new Set(dictionary['passwords-common'].map((password) => String(password).toLowerCase()))]

mkdirSync(outputDirectory, { recursive: true })
writeFileSync(join(outputDirectory, 'common.txt.zst'), Bun.zstdCompressSync(passwords.join('\n'), { level: 19 }))
