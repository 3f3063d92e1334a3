import { describe, expect, test } from 'bun:test'
import { fileVectors } from './fileVectors.ts'
import { headVectors } from './headVectors.ts'
import { longVectors } from './longVectors.ts'
import { recordVectors } from './recordVectors.ts'
import { resultOf } from './verifying.ts'

const unanchored = expect.stringMatching(/^not ruled out, because no checkpoint or policy from outside was given: /)

describe('verification of an export', () => {
  test.each([...fileVectors, ...recordVectors, ...headVectors, ...longVectors])(
    'names exactly what is wrong with $name',
    async (vector) => {
      const isAnchored = vector.checkpoints !== undefined || vector.policy !== undefined
      const isRead = !vector.findings.some((finding) => /^the checkpoint (is|has)/.test(finding))
      const notes = [...(vector.notes ?? []), ...(isAnchored || !isRead ? [] : [unanchored])]
      expect(await resultOf(vector)).toEqual({ findings: [...vector.findings], notes })
    },
  )
})
