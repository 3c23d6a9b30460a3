/**
 * A name inside of a text that is no markup, such as a title: what it is written in, right to left or not, ends with it
 * (Unicode UAX #9, FSI and PDI). In markup `<bdi>` does the same.
 */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}
