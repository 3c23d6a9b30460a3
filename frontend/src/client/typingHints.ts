/** Servers want to hear it so rarely. */
export const TYPING_EVERY_MS = 2_000;
/**
 * Who has said something is shown as writing no more, so the next key tells it anew. Servers drop what comes within 1 s
 * of the last one, and two frames may come closer together than they were sent.
 */
export const TYPING_AFTER_SEND_MS = 1_200;

interface Hint {
  toldMs: number;
  /** Something was sent since it was told. */
  hasSent: boolean;
  /** A key was pressed since then, too soon to tell. */
  isOwed: boolean;
}

/** When to tell the others of a room that the user writes. */
export class TypingHints {
  readonly #rooms = new Map<string, Hint>();

  /** A key was pressed. Whether that is to be told now. */
  press(room: string, now: number): boolean {
    const hint = this.#rooms.get(room);
    if (hint && now < next(hint)) {
      hint.isOwed = hint.hasSent;
      return false;
    }
    this.#rooms.set(room, { toldMs: now, hasSent: false, isOwed: false });
    return true;
  }

  /** The text was sent. */
  send(room: string) {
    const hint = this.#rooms.get(room);
    if (hint) Object.assign(hint, { hasSent: true, isOwed: false });
  }

  /** What was pressed too soon and can be told now. */
  due(now: number): string[] {
    return [...this.#rooms].filter(([, hint]) => hint.isOwed && now >= next(hint)).map(([room]) => room);
  }

  get nextDueMs(): number {
    return Math.min(Infinity, ...[...this.#rooms.values()].filter(({ isOwed }) => isOwed).map(next));
  }
}

function next({ toldMs, hasSent }: Hint): number {
  return toldMs + (hasSent ? TYPING_AFTER_SEND_MS : TYPING_EVERY_MS);
}
