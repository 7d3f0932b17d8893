/** `npm run new connector|processor|sink <name>`: makes the folder of a room and says which lines to add by hand. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRoomKind, isRoomName, newRoom } from './room-templates.ts';

const root = join(import.meta.dirname, '..');

function make(kind: string, name: string): number {
  if (!isRoomKind(kind) || !isRoomName(name)) {
    console.error(
      'usage: npm run new connector|processor|sink <name>; the name in lower case, such as http-poll',
    );
    return 2;
  }
  const { folder, files, registry, importLine, entry } = newRoom(kind, name);
  if (existsSync(join(root, folder))) {
    console.error(`${folder} exists already; choose another name, or remove it first`);
    return 1;
  }
  mkdirSync(join(root, folder), { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    writeFileSync(join(root, folder, file), text);
    console.log(`wrote ${folder}/${file}`);
  }
  const list = /export const (\w+)/.exec(readFileSync(join(root, registry), 'utf8'))?.[1] ?? 'list';
  console.log(`\nadd to ${registry}:\n  ${importLine}\n  and ${entry} to ${list}`);
  console.log('then: npm run format && npm run check');
  return 0;
}

process.exitCode = make(process.argv[2] ?? '', process.argv[3] ?? '');
