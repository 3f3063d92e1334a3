import { describe, expect, test } from 'bun:test'
import { readConfig } from '../../src/config/config.ts'

function resultOf(text: string | undefined) {
  const result = readConfig(text === undefined ? {} : { CORS_ORIGINS: text })
  return result.ok ? result.config.corsOrigins : result.problems
}

describe('CORS_ORIGINS', () => {
  test('parses a list of exact origins, none by default', () => {
    expect(resultOf(undefined)).toEqual([])
    expect(resultOf('')).toEqual([])
    const origins = [
      'https://app.example.com',
      'http://localhost:5173',
      'http://[::1]:8080',
      'https://xn--mnchen-3ya.example',
      'capacitor://localhost',
      'capacitor://localhost:8100',
      'ionic://localhost',
      'tauri://localhost',
      'app://obsidian.md',
      'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
      'moz-extension://0b1c2d3e-0000-4000-8000-000000000000',
      'safari-web-extension://E8BEA491-9B80-45DB-8B20-3E586473BD47',
      'vscode-webview://abc',
      'com.example.app://host',
      'ftp://app.example.com',
    ]
    expect(resultOf(origins.join(' , '))).toEqual(origins)
  })

  test.each([
    '*',
    'null',
    'https://*',
    'https://*.example.com',
    'app.example.com',
    'https://app.example.com/',
    'https://app.example.com/path',
    'https://app.example.com?q',
    'https://APP.example.com',
    'https://app.example.com:443',
    'http://app.example.com:080',
    'https://user@app.example.com',
    'https://münchen.example',
    'https://app.example.com https://b.example.com',
    'https://app.example.com,*',
    'file:///index.html',
    'https://',
    'app://',
    'app://*',
    'capacitor://localhost/',
    'Capacitor://localhost',
    'app://user@host',
    'app://host:99999',
    'capacitor:localhost',
  ])('rejects %s and names the rule', (value) => {
    expect(resultOf(value)).toEqual([
      `CORS_ORIGINS must list exact origins, separated by commas, such as https://app.example.com or capacitor://localhost, without path, trailing slash, default port, wildcards or uppercase letters in a web address (got ${JSON.stringify(value)}).`,
    ])
  })
})
