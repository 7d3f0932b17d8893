/** `baleen config`: the effective settings, where each came from, secrets masked. */
import { type Io, processIo } from './io.ts';
import { cutTo, escaped } from './printable.ts';
import { buildSettings, type SettingSources } from './settings.ts';

/** Settings that `up` fills in when it starts have the origin `provided`. */
const AT_START = '(found at start)';
const MAX_VALUE_COLUMNS = 100;

/** Starts nothing. Returns the exit code; throws CONFIG_INVALID. */
export async function config(
  options: { readonly json: boolean; readonly sources: SettingSources },
  io: Io = processIo,
): Promise<number> {
  const { explained } = await buildSettings({ ...options.sources, provided: {}, isPreview: true });
  const rows = explained.map(({ path, shown, origin }) => ({
    path,
    value: origin === 'provided' ? null : shown,
    origin: origin === 'provided' ? 'start' : origin,
  }));
  if (options.json) {
    io.out(JSON.stringify(rows, null, 2));
    return 0;
  }
  const widest = Math.max(...rows.map(({ path }) => path.length));
  for (const { path, value, origin } of rows) {
    const text = origin === 'start' ? AT_START : valueText(value);
    io.out(
      `${escaped(path).padEnd(widest)}  ${origin.padEnd(11)}  ${cutTo(escaped(text), MAX_VALUE_COLUMNS)}`,
    );
  }
  return 0;
}

function valueText(value: unknown): string {
  if (Array.isArray(value) && value.length > 0) return `${value.length} of: ${JSON.stringify(value)}`;
  return value === null ? 'null (off or not set)' : (JSON.stringify(value) ?? '');
}
