const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const EXACT = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const NUMBER = new Intl.NumberFormat('en');

export const shortTime = (ms: number) => TIME.format(ms);
export const exactTime = (ms: number) => EXACT.format(ms);
export const fullTime = (ms: number) => FULL.format(ms);
export const dayName = (ms: number) => DAY.format(ms);
export const number = (value: number) => NUMBER.format(value);

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** The two largest units, such as `2 h 5 min`. */
export function duration(seconds: number): string {
  const units: [number, string][] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = units.findIndex(([size]) => seconds >= size);
  if (first < 0) return '0 s';
  let rest = Math.floor(seconds);
  const parts = units.slice(first, first + 2).map(([size, unit]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return { count, unit };
  });
  return parts
    .filter(({ count }, index) => index === 0 || count > 0)
    .map(({ count, unit }) => `${count} ${unit}`)
    .join(' ');
}

/** `http://localhost:7001` → `localhost:7001`. */
export function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

/** The status page of the node whose WebSocket is at `url`. */
export function pageOf(url: string): string {
  return url.replace(/^ws/, 'http').replace(/\/ws(\?.*)?$/, '/');
}
