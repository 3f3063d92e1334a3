import type { Language } from './texts.ts'

/** What every page shows or needs besides its own data. */
export interface Frame {
  readonly language: Language
  /** PAGE_TITLE. */
  readonly title: string
  readonly host: string
  /** Whether the browser's connection is encrypted, or stays on this machine. */
  readonly isEncrypted: boolean
  /** The requested path below BASE_PATH, such as `/account/password`. */
  readonly path: string
  /** The names of the assets, which contain a hash. */
  readonly assets: { readonly style: string; readonly script: string; readonly icon: string }
  /** The signed-in user. */
  readonly user: { readonly username: string; readonly full_name: string } | undefined
}
