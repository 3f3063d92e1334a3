import { describe, expect, test } from 'bun:test'
import { nearMiss } from '../src/nearMiss.ts'

const settings = ['DATABASE_URL', 'DATA_DIR', 'HOST', 'PORT', 'DOCS', 'SECRET_KEY']

describe('nearMiss', () => {
  test.each([
    ['DATABSE_URL', 'DATABASE_URL'],
    ['DATABASE_ULR', 'DATABASE_URL'],
    ['database_url', 'DATABASE_URL'],
    ['SECRETKEY', 'SECRET_KEY'],
    ['DOC', 'DOCS'],
    ['PROT', 'PORT'],
  ])('finds what %s misspells', (name, candidate) => {
    expect(nearMiss(name, settings)).toBe(candidate)
  })

  test.each(['DATABASE_URL', 'PATH', 'HOME', 'DATABASE_POOL', 'X', '', 'POSTGRES_URL'])(
    'finds nothing for %j',
    (name) => {
      expect(nearMiss(name, settings)).toBeUndefined()
    },
  )
})
