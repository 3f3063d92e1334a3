import addonFile from '#argon2' with { type: 'file' }
import { loadNativeAddon } from '../../system/nativeAddon.ts'
import type { Log } from '../../telemetry/log.ts'
import { type Argon2Verifier, bunArgon2 } from './argon2.ts'

/**
 * Returns a function that loads the native verifier on its first call. Where that fails or is off,
 * it warns once and returns `Bun.password`.
 */
export function createArgon2(log: Log, isOn = true, loadNative = loadNativeArgon2): () => Argon2Verifier {
  let loaded: Argon2Verifier | undefined
  const load = () => {
    try {
      if (!isOn) throw new Error('NATIVE_ARGON2 is off.')
      return loadNative()
    } catch (error) {
      log.warn('hash.addon_unavailable', {
        message: error instanceof Error ? error.message : undefined,
        detail: 'Bun.password verifies argon2 hashes instead, which takes about three times as long',
      })
      return bunArgon2
    }
  }
  return () => {
    loaded ??= load()
    return loaded
  }
}

/** Of the exports of `@node-rs/argon2`. */
interface Addon {
  readonly verify: (hash: string, password: string) => Promise<boolean>
  readonly verifySync: (hash: string, password: string) => boolean
}

/** argon2id of `password` with the smallest parameters, and so in microseconds. */
const sample = '$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$ePHX6tepXWusf6b6MH9TJ+SVGted3R/FtCkxq/X5UVo'

/**
 * Loads the verifier of `@node-rs/argon2`. Throws if it cannot be loaded or computes wrong results.
 */
export function loadNativeArgon2(): Argon2Verifier {
  const { verify, verifySync } = loadNativeAddon(addonFile) as Addon
  if (!verifySync(sample, 'password') || verifySync(sample, 'Password'))
    throw new Error('The addon does not verify a known hash.')
  return {
    name: 'native',
    relativeTime: 0.36,
    // An empty password matches nothing, as with `Bun.password`.
    verify: async (password, hash) => password !== '' && verify(hash, password),
  }
}
