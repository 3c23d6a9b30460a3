import { readFileSync } from 'node:fs';

/** The golden examples that the Rust tests read too. */
interface Golden {
  limits: unknown;
  closeCodes: unknown;
  errorCodes: string[];
  client: Record<string, Record<string, unknown>>;
  server: Record<string, Record<string, unknown>>;
}

const docs = new URL('../../../../docs/', import.meta.url);

export const golden = JSON.parse(readFileSync(new URL('protocol.json', docs), 'utf8')) as Golden;

export const goldenStatus = JSON.parse(readFileSync(new URL('status.json', docs), 'utf8')) as Record<
  'app' | 'balancer',
  Record<string, unknown>
>;
