import 'react';

declare module 'react' {
  // An interface, for only that can be merged into React's own.
  // eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style
  interface CSSProperties {
    [property: `--${string}`]: string | number;
  }
}
