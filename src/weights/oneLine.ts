/** What an exception says, on one line and of bounded length, for a message of ours. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, " ").slice(0, 300);
}

/** A name from a file in quotes, on one line and of bounded length. */
export function quote(name: string): string {
  return `'${name.length > 200 ? `${name.slice(0, 200)}...` : name}'`.replace(/\s+/g, " ");
}
