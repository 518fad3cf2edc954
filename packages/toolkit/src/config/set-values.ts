import { InputError } from '@mdt/core';

/**
 * A configuration with single values changed, each given as `training.epochs=3`: the value is JSON where it is valid JSON, else a text. A
 * key without a value (`training.minutes=`) is taken out. Whether keys and values fit is for `resolveConfig` to say.
 *
 * @throws InputError `invalid-option`
 */
export function setValues(config: unknown, assignments: readonly string[]): unknown {
  let result = structuredClone(config);
  for (const assignment of assignments) {
    const [, path, text] = /^([^=]+)=(.*)$/s.exec(assignment) ?? [];
    if (path === undefined) {
      throw new InputError('invalid-option', `--set ${assignment}: expected key=value, as in training.epochs=3`);
    }
    result = withValue(result, path.split('.'), parsed(text!), assignment);
  }
  return result;
}

function parsed(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function withValue(value: unknown, [key, ...rest]: string[], to: unknown, assignment: string): unknown {
  if (key === undefined) return to;
  if (
    key === '' ||
    key === '__proto__' ||
    (value !== undefined && (typeof value !== 'object' || value === null || Array.isArray(value)))
  ) {
    throw new InputError('invalid-option', `--set ${assignment}: '${key}' is not a key of an object`);
  }
  const object = (value ?? {}) as Record<string, unknown>;
  const own = Object.hasOwn(object, key) ? object[key] : undefined;
  const { [key]: _, ...others } = object;
  const next = withValue(own, rest, to, assignment);
  return next === undefined ? others : { ...object, [key]: next };
}
