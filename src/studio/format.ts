/** "38.8 MB". */
export function bytes(count: number): string {
  const units = ["kB", "MB", "GB"];
  let value = count / 1000;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** "230 ms", "4.2 s", "3 min". */
export function duration(milliseconds: number): string {
  if (milliseconds < 950) return `${Math.max(1, Math.round(milliseconds))} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 99.5) return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** A file name of the words of a prompt. */
export const fileName = (prompt: string, seed: number): string => {
  const words = prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return `${Array.from(words.join("-")).slice(0, 60).join("") || "picture"}-${seed}.png`;
};
