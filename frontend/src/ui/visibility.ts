/** Takes no place, or changes the order of others. Servers refuse it in names and rooms. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\u2028\u2029\ufff9-\ufffb]/u;
/** The empty pattern of Braille and the null notehead are seen as nothing, too. */
const BLANK =
  /^[\s\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\u2028\u2029\ufff9-\ufffb\u2800\u{1d159}]*$/u;

export function hasInvisible(text: string): boolean {
  return INVISIBLE.test(text);
}

/** Whether nothing of a text is seen. */
export function isBlank(text: string): boolean {
  return BLANK.test(text);
}
