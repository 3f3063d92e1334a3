import svg from './icon.svg' with { type: 'text' }

/** The icon of our pages as a data URI: no route, and it works under any path. */
export const iconUri = `data:image/svg+xml,${encodeURIComponent(svg.trim())}`
