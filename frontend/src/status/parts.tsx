import type { ReactNode } from 'react';
import { number } from '../ui/format';
import type { State } from './tone';

export function Pill({ tone, label }: State) {
  return (
    <span className="pill" data-tone={tone}>
      <span className="dot" />
      {label}
    </span>
  );
}

interface TileProps {
  label: string;
  value: number | string;
  note?: ReactNode;
  children?: ReactNode;
}

export function Tile({ label, value, note, children }: TileProps) {
  return (
    <section className="tile" aria-label={label}>
      <h2>{label}</h2>
      <p className="tile-value">{typeof value === 'number' ? number(value) : value}</p>
      {note !== undefined && <p className="tile-note">{note}</p>}
      {children}
    </section>
  );
}

export function Card({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {aside !== undefined && <p className="faint">{aside}</p>}
      </header>
      {children}
    </section>
  );
}

/** How much of the whole. `children` names the numbers, for the bar is only a picture of them. */
export function Bar({ value, max, children }: { value: number; max: number; children?: ReactNode }) {
  return (
    <span className="bar">
      <span className="bar-track" aria-hidden="true">
        <span className="bar-fill" style={{ '--part': max > 0 ? Math.min(1, value / max) : 0 }} />
      </span>
      {children}
    </span>
  );
}

export function Counts({ counts }: { counts: readonly (readonly [string, number])[] }) {
  return (
    <dl className="counts">
      {counts.map(([name, count]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{number(count)}</dd>
        </div>
      ))}
    </dl>
  );
}
