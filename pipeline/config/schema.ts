/** What a zod schema says at a path: its keys, whether it is secret. */
import { z } from 'zod';
import type { Path } from './layers.ts';

type Schema = z.core.$ZodType;

/** Names that are secret wherever they stand. */
const SECRET_NAMES =
  /^(authorization|.*token|.*password|passphrase|.*secret|secret.*|api_?key|.*apikey|private_?key|credentials?)$/i;
/** A section of this name holds secrets in its url. */
const DATABASES = /^(database|postgres|postgresql|redis|influx|influxdb|mysql)$/i;

/** The schema without default, nullable and the like; each layer on the way is handed to `visit`. */
function bare(schema: Schema, visit: (layer: Schema) => void = () => {}): Schema {
  let layer = schema;
  for (;;) {
    visit(layer);
    if (
      layer instanceof z.ZodDefault ||
      layer instanceof z.ZodNullable ||
      layer instanceof z.ZodOptional ||
      layer instanceof z.ZodPrefault ||
      layer instanceof z.ZodReadonly ||
      layer instanceof z.ZodCatch ||
      layer instanceof z.ZodNonOptional
    ) {
      layer = layer.def.innerType;
    } else if (layer instanceof z.ZodPipe) layer = layer.def.in;
    else return layer;
  }
}

/** Schemas that may stand at `key` below `schema`; none when there is no such key. */
function below(schema: Schema, key: string | number): readonly Schema[] {
  const inner = bare(schema);
  if (inner instanceof z.ZodUnion) return inner.def.options.flatMap((option) => below(option, key));
  if (inner instanceof z.ZodObject) {
    const child: Schema | undefined = Object.hasOwn(inner.shape, key) ? inner.shape[key] : undefined;
    return child === undefined ? [] : [child];
  }
  if (inner instanceof z.ZodArray) return [inner.def.element];
  if (inner instanceof z.ZodRecord) return [inner.def.valueType];
  return [];
}

/** All schemas that may stand at a path; none when the path is unknown. */
export const schemasAt = (schema: Schema, path: Path): readonly Schema[] =>
  path.reduce<readonly Schema[]>((found, key) => found.flatMap((one) => below(one, key)), [schema]);

/** Known keys at a path; empty for values and for maps with free keys. */
export const keysAt = (schema: Schema, path: Path): readonly string[] =>
  schemasAt(schema, path).flatMap((found) => {
    const inner = bare(found);
    if (inner instanceof z.ZodUnion) {
      return inner.def.options.flatMap((option) => keysAt(option, []));
    }
    return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
  });

/** Marked by `.meta({ secret: true })` on the way, or secret by name. */
export function isSecret(schema: Schema, path: Path): boolean {
  const names = path.filter((part) => typeof part === 'string');
  if (names.some((name) => SECRET_NAMES.test(name))) return true;
  if (names.at(-1) === 'url' && names.some((name) => DATABASES.test(name))) return true;
  for (let length = 0; length <= path.length; length++) {
    for (const found of schemasAt(schema, path.slice(0, length))) {
      let isMarked = false;
      bare(found, (layer) => {
        if (z.globalRegistry.get(layer)?.secret === true) isMarked = true;
      });
      if (isMarked) return true;
    }
  }
  return false;
}
