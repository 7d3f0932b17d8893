/** Checks the layout of the whole tree (style, sections 3 and 5); prints every violation, exit 1 when there is one. */
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkFile, checkRoot, formatViolation } from './boundaries.ts';

const root = new URL('..', import.meta.url).pathname;
const files = globSync('{schemas,pipeline,connectors,topology,sinks,ops,scripts}/**/*.{ts,js,mjs,cjs}', {
  cwd: root,
}).sort();
const violations = [
  ...checkRoot(readdirSync(root)),
  ...files.flatMap((file) => checkFile(file, readFileSync(join(root, file), 'utf8'))),
];
for (const violation of violations) console.log(formatViolation(violation));
console.log(`boundaries: ${files.length} files, ${violations.length} violations`);
process.exitCode = violations.length > 0 ? 1 : 0;
