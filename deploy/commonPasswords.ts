// Build step: bun deploy/commonPasswords.ts
// Makes the list of the commonest passwords that the binary carries: one a line, in lower case, under zstd.
// Source: the package @zxcvbn-ts/language-common (MIT).
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dictionary } from '@zxcvbn-ts/language-common'

const outputDirectory = join(import.meta.dir, '../dist/passwords')
const passwords = [...new Set(dictionary['passwords-common'].map((password) => String(password).toLowerCase()))]

mkdirSync(outputDirectory, { recursive: true })
writeFileSync(join(outputDirectory, 'common.txt.zst'), Bun.zstdCompressSync(passwords.join('\n'), { level: 19 }))
