/**
 * The printable stand-ins that byte-level vocabularies use for the 256 bytes: 188 printable Latin-1 characters stand for
 * themselves, the other 68 bytes are numbered from U+0100 on in byte order (the table of GPT-2, which CLIP shares).
 */
export const byteSymbols: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  if (isPrintable(byte)) return String.fromCharCode(byte);
  let before = 0;
  for (let other = 0; other < byte; other++) if (!isPrintable(other)) before++;
  return String.fromCharCode(0x100 + before);
});

const bytes = new Map(byteSymbols.map((symbol, byte) => [symbol, byte]));
const encoder = new TextEncoder();

/** UTF-8 bytes behind a string of byte symbols; a character that stands for no byte contributes its own UTF-8. */
export function bytesOfSymbols(symbols: string): Uint8Array {
  const out: number[] = [];
  for (const symbol of symbols) {
    const byte = bytes.get(symbol);
    if (byte === undefined) out.push(...encoder.encode(symbol));
    else out.push(byte);
  }
  return Uint8Array.from(out);
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}
