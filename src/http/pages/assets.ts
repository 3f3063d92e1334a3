import { createHash } from 'node:crypto'
import { Elysia } from 'elysia'
import script from '../../../dist/pages/page.browser.txt' with { type: 'text' }
import style from '../../../dist/pages/page.css' with { type: 'text' }
import { AppError } from '../../error.ts'
import icon from '../discovery/icon.svg' with { type: 'text' }

interface Asset {
  readonly name: string
  readonly type: string
  readonly body: string
}

function assetOf(extension: string, type: string, body: string): Asset {
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 16)
  return { name: `page.${hash}.${extension}`, type: `${type}; charset=utf-8`, body }
}

const styleAsset = assetOf('css', 'text/css', style)
const scriptAsset = assetOf('js', 'text/javascript', script)
const iconAsset = assetOf('svg', 'image/svg+xml', icon)
const assets = new Map([styleAsset, scriptAsset, iconAsset].map((asset) => [asset.name, asset]))

/** The names of the assets. A change of the content changes the name. */
export const assetNames = { style: styleAsset.name, script: scriptAsset.name, icon: iconAsset.name }

const cacheControl = 'public, max-age=31536000, immutable'

export function assetRoute() {
  return new Elysia({ name: 'pages.assets' }).get(
    '/pages/:name',
    ({ params }) => {
      const asset = assets.get(params.name)
      if (!asset) throw new AppError('not_found', 'This path does not exist.')
      return new Response(asset.body, { headers: { 'content-type': asset.type, 'cache-control': cacheControl } })
    },
    { detail: { hide: true } },
  )
}
