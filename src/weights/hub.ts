import type { HubModel } from "./hubName.js";

/** The hub whose models a name stands for unless another host is named. */
export const usualHost = "https://huggingface.co";

/** Where the files of a model lie: `{host}/{owner}/{name}/resolve/{revision}/`. */
export const hubAddress = ({ owner, name, revision = "main" }: HubModel, host: string): string =>
  `${host.replace(/\/+$/, "")}/${owner}/${name}/resolve/${encodeURIComponent(revision)}/`;
