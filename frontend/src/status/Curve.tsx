import { SAMPLES_MAX } from './watch';

const WIDTH = 240;
const HEIGHT = 44;

/** The last minute of a rate, the newest at the right. A picture only: the number stands next to it. */
export function Curve({ values }: { values: readonly number[] }) {
  const line = pointsOf(values);
  return (
    <svg className="curve" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {values.length > 1 && (
        <>
          <path className="curve-area" d={`M${line} L${WIDTH} ${HEIGHT} L${xOf(0, values.length)} ${HEIGHT}Z`} />
          <path className="curve-line" d={`M${line}`} />
        </>
      )}
    </svg>
  );
}

function pointsOf(values: readonly number[]): string {
  const top = Math.max(1, ...values);
  return values
    .map((value, index) => `${xOf(index, values.length)} ${(HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1)}`)
    .join(' L');
}

function xOf(index: number, length: number): number {
  return WIDTH - ((length - 1 - index) * WIDTH) / (SAMPLES_MAX - 1);
}
