const urls = new WeakMap<Blob, string>();

/** An address of a blob for this page, the same one each time. */
export function urlOf(blob: Blob): string {
  let url = urls.get(blob);
  if (!url) {
    url = URL.createObjectURL(blob);
    urls.set(blob, url);
  }
  return url;
}

/** Ends the address of a blob that is shown no more. */
export function dropUrl(blob: Blob): void {
  const url = urls.get(blob);
  if (url) URL.revokeObjectURL(url);
  urls.delete(blob);
}
