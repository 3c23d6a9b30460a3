import protocol from '../../../../docs/protocol.json';
import status from '../../../../docs/status.json';

/** The golden examples that the Rust tests read too. */
interface Golden {
  limits: unknown;
  closeCodes: unknown;
  client: Record<string, Record<string, unknown>>;
  server: Record<string, Record<string, unknown>>;
}

export const golden: Golden = protocol;

export const goldenStatus: Record<'app' | 'balancer', Record<string, unknown>> = status;
