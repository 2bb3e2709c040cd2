/** A model on a hub. */
export interface HubModel {
  readonly owner: string;
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string | undefined;
}

/** `owner/name` or `owner/name@revision`; undefined for what is no such name. */
export function hubModel(text: string): HubModel | undefined {
  const [, owner, name, revision] = /^(\w[\w.-]*)\/(\w[\w.-]*)(?:@([\w./-]+))?$/.exec(text) ?? [];
  return owner && name ? { owner, name, revision } : undefined;
}
