import type { Config, SettingName } from '../../config/config.ts'
import { type Setting, settings } from '../../config/settings.ts'
import type { Command, CommandEnvironment } from '../command.ts'

export const config: Command = {
  name: 'config',
  summary: 'show the settings as this process would use them, secrets hidden',
  words: [],
  flags: {
    json: { doc: 'as JSON' },
    env: { doc: 'print .env.example' },
    markdown: { doc: 'print the reference table' },
  },
  run: (surroundings, { flags }) => {
    const { stdout } = surroundings
    if (flags.has('env')) stdout(envExample())
    else if (flags.has('markdown')) stdout(markdownTable())
    else if (flags.has('json')) stdout(`${JSON.stringify(Object.fromEntries(shown(surroundings)), undefined, 2)}\n`)
    else
      stdout(
        shown(surroundings)
          .map(([env, { value, source }]) => `${env}=${value ?? ''}${source === 'default' ? '' : `  # ${source}`}\n`)
          .join(''),
      )
    return 0
  },
}

const entries = Object.entries(settings) as [SettingName, Setting<unknown>][]

function shown({
  config: values,
  sources,
}: CommandEnvironment): [string, { value: string | number | null; source: string }][] {
  return entries.map(([name, setting]) => [
    setting.env,
    { value: shownValue(setting, values[name]), source: sources[name] },
  ])
}

function shownValue(setting: Setting<unknown>, value: Config[SettingName]): string | number | null {
  if (value === undefined) return null
  if (setting.secret) return '(set)'
  return Array.isArray(value) ? value.join(',') : (value as string | number)
}

/** `.env.example`: every setting with its default, commented out. */
export function envExample(): string {
  const blocks = entries.map(([, { env, doc, default: text, secret }]) => {
    const file = secret ? `\n# ${env}_FILE=` : ''
    return `# ${doc}\n# ${env}=${quoted(text ?? '')}${file}\n`
  })
  return `# Settings of AuditTrail, each with its default. Printed by: audittrail config --env\n# Read by docker compose, by systemd, and by audittrail --env-file FILE; never by itself.\n\n${blocks.join('\n')}`
}

function quoted(text: string): string {
  return text.includes(' ') ? `"${text}"` : text
}

/** The settings table of the README and of the reference page. */
export function markdownTable(): string {
  const rows = entries.map(([, { env, doc, default: text, secret }]) => {
    const name = secret ? `\`${env}\`, \`${env}_FILE\`` : `\`${env}\``
    return `| ${name} | ${text === undefined ? 'unset' : text === '' ? 'empty' : `\`${text}\``} | ${doc.replaceAll('|', '\\|')} |`
  })
  return `| variable | default | what it is |\n|---|---|---|\n${rows.join('\n')}\n`
}
