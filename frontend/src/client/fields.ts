/** Reads JSON that nobody has vouched for: each function gives the field as its type, or throws `WrongField`. */

export type Fields = Record<string, unknown>;

export class WrongField extends Error {
  constructor(readonly field: string) {
    super(`the field ${field} is missing or not of its kind`);
  }
}

/** A JSON object; `null` when it is none. */
export function json(data: unknown): Fields | null {
  if (typeof data !== 'string') return null;
  try {
    const value: unknown = JSON.parse(data);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

/** What `read` makes of a JSON object; `null` when the data is none, or a field of it is not of its kind. */
export function parse<T>(data: unknown, read: (fields: Fields) => T): T | null {
  const fields = json(data);
  if (!fields) return null;
  try {
    return read(fields);
  } catch (error) {
    if (error instanceof WrongField) return null;
    throw error;
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function text(fields: Fields, field: string): string {
  const value = fields[field];
  if (typeof value !== 'string') throw new WrongField(field);
  return value;
}

export function optional(fields: Fields, field: string): string | null {
  return fields[field] === undefined ? null : text(fields, field);
}

/** A whole number that is not negative. */
export function count(fields: Fields, field: string): number {
  const value = fields[field];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new WrongField(field);
  return value;
}

/** A number that is not negative. */
export function measure(fields: Fields, field: string): number {
  const value = fields[field];
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw new WrongField(field);
  return value;
}

export function flag(fields: Fields, field: string): boolean {
  const value = fields[field];
  if (typeof value !== 'boolean') throw new WrongField(field);
  return value;
}

export function object<T>(fields: Fields, field: string, read: (value: Fields) => T): T {
  const value = fields[field];
  if (!isFields(value)) throw new WrongField(field);
  return read(value);
}

export function list<T>(fields: Fields, field: string, read: (value: Fields) => T): T[] {
  const value = fields[field];
  if (!Array.isArray(value)) throw new WrongField(field);
  return value.map((item: unknown) => {
    if (!isFields(item)) throw new WrongField(field);
    return read(item);
  });
}

/** An object of whole numbers. */
export function counts(fields: Fields, field: string): Record<string, number> {
  const value = fields[field];
  if (!isFields(value)) throw new WrongField(field);
  return Object.fromEntries(Object.keys(value).map((name) => [name, count(value, name)]));
}

/** `null` when absent. */
export function names(fields: Fields, field: string): string[] | null {
  const value = fields[field];
  if (value === undefined) return null;
  if (!Array.isArray(value)) throw new WrongField(field);
  return value.map((item: unknown) => {
    if (typeof item !== 'string') throw new WrongField(field);
    return item;
  });
}
