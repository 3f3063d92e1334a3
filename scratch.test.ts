import { test } from 'bun:test'
import { sampleExport, sampleRecords } from './test/domain/offlineVerification/sampleLog.ts'
import { linesOf } from './test/domain/offlineVerification/verifying.ts'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { signer } from './test/domain/offlineVerification/sampleLog.ts'
test('x', async () => {
  for (const n of [0, 1, 5, 258]) {
    const files = sampleExport(sampleRecords(n), { kept: [0, 1, 4, 257].filter((s) => s < n).concat(n) })
    console.log(n, await linesOf(files))
    for (const [p, c] of files) { mkdirSync(dirname(`/tmp/av/${n}/${p}`), { recursive: true }); writeFileSync(`/tmp/av/${n}/${p}`, c) }
  }
})
