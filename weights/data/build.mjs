// Rebuilds the training pictures in OUT (.train/data) after `npm ci --ignore-scripts` here: package-lock.json holds the hashes.
// Emoji art of seven styles, 128 x 128 with alpha, as lossless WebP atlases of 16 x 16 pictures, and one index.json:
// { emoji: [{hex, label, tags, group, subgroup}], styles: [{style, emoji: [index...]}], files: {"noto-0.webp": sha256} }.
// Fluent's "modern" art is left out: it nearly equals its 3D art, and a held-out picture would have a twin in training.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import sharp from "sharp";

const require = createRequire(import.meta.url);
const out = process.argv[2] ?? fileURLToPath(new URL("../../.train/data", import.meta.url));
const size = 128;
const columns = 16;

const bare = (hex) => hex.toLowerCase().split("-").filter((part) => part !== "fe0f" && part !== "200d").join("-");
const plain = (text) => text.toLowerCase().normalize("NFD").replace(/[^a-z0-9]+/g, "");
const words = (text) =>
  text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/[\u2019]/g, "'").replace(/[^a-z0-9' -]+/g, " ").replace(/\s+/g, " ").trim();

const { groups, subgroups } = require("emojibase-data/meta/groups.json");
const all = require("emojibase-data/en/data.json").map((e) => ({ ...e, group: groups[e.group], subgroup: subgroups[e.subgroup] }));

// What is left out, by the names of Unicode's groups, by label, or one by one.
const noGroup = new Set([undefined, "component", "flags"]);
const noSubgroup = new Set(
  "keycap alphanum arrow av-symbol transport-sign zodiac gender family warning religion hair-style".split(" "),
);
const noLabel =
  /^(wo)?m[ae]n |facing right|: |o.clock$|-thirty$|^no |medium|^(black|white) (small|large|square)|^map of|banknote|^(ATM|SOS)|gesturing|meeting|bust|Ms\.|Mx /;
const noHex = new Set([
  "1F595", // middle finger
  "1F6AC", "1F489", "1F4A3", "1F5E1", "1F52B", // cigarette, syringe, bomb, dagger, pistol
  "1F9F7", "1F4AF", "1F524", "3299", "3297", "1F4A4", "2122", "00A9", "00AE", "1F18E", "1F5E8", "1F441-FE0F-200D-1F5E8-FE0F",
]);
const emoji = all
  .filter((e) => !noGroup.has(e.group) && !noSubgroup.has(e.subgroup) && !noLabel.test(e.label) && !noHex.has(e.hexcode))
  .sort((a, b) => a.order - b.order);

// Names of the icon sets, as code points.
const codes = new Map();
const learn = (name, hex) => codes.has(plain(name)) || codes.set(plain(name), bare(hex));
for (const set of ["twemoji", "noto"])
  for (const [hex, name] of Object.entries(require(`@iconify-json/${set}/chars.json`))) learn(name, hex);
for (const e of all) learn(e.label, e.hexcode);
for (const file of ["cldr", "emojibase", "joypixels"])
  for (const [hex, names] of Object.entries(require(`emojibase-data/en/shortcodes/${file}.json`)))
    for (const name of [names].flat()) learn(name, hex);

const folder = (name) => require.resolve(`${name}/package.json`).replace(/package\.json$/, "");
function fromFiles(name, inner, ext) {
  const root = folder(name) + inner;
  return (e) => {
    for (const hex of [e.hexcode.toLowerCase(), bare(e.hexcode), e.hexcode.toLowerCase().replace(/-fe0f/g, "")]) {
      const path = `${root}/${hex}.${ext}`;
      if (existsSync(path)) return readFileSync(path);
    }
    return undefined;
  };
}
function fromIcons(name) {
  const set = require(`@iconify-json/${name}/icons.json`);
  const byCode = new Map();
  for (const icon of Object.keys(set.icons)) {
    const code = codes.get(plain(icon));
    if (code && !byCode.has(code)) byCode.set(code, set.icons[icon]);
  }
  return (e) => {
    const icon = byCode.get(bare(e.hexcode));
    if (!icon) return undefined;
    const [w, h] = [icon.width ?? set.width, icon.height ?? set.height];
    return Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${w}" height="${h}" viewBox="${icon.left ?? 0} ${icon.top ?? 0} ${w} ${h}">${icon.body}</svg>`,
    );
  };
}

const sources = {
  twemoji: fromFiles("@discordapp/twemoji", "dist/svg", "svg"),
  noto: fromIcons("noto"),
  blob: fromIcons("noto-v1"),
  flat: fromFiles("@lobehub/fluent-emoji-flat", "assets", "svg"),
  "3d": fromFiles("@lobehub/fluent-emoji-3d", "assets", "webp"),
  classic: fromIcons("emojione"),
  fx: fromIcons("fxemoji"),
};

async function raster(source) {
  const { width = size } = await sharp(source).metadata();
  // SVG is drawn at about the wanted size, from its own units of 1/72 inch at density 72.
  const density = source[0] === 0x3c ? Math.min(1200, Math.max(18, (72 * size * 2) / width)) : undefined;
  const pixels = await sharp(source, density ? { density } : {})
    .resize(size, size, { fit: "contain", background: { r: 0, g: 0, b: 0, alpha: 0 } })
    .ensureAlpha()
    .raw()
    .toBuffer();
  for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] < 3) pixels.fill(0, i, i + 4);
  return pixels;
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const styles = [];
const files = {};
for (const [style, source] of Object.entries(sources)) {
  const drawn = [];
  const pixels = [];
  for (const [i, e] of emoji.entries()) {
    const bytes = source(e);
    if (!bytes) continue;
    const picture = await raster(bytes);
    let covered = 0;
    for (let p = 3; p < picture.length; p += 4) covered += picture[p] > 127;
    if (covered < 200) continue; // an empty drawing
    drawn.push(i);
    pixels.push(picture);
  }
  let bytes = 0;
  for (let from = 0, part = 0; from < drawn.length; from += columns * columns, part++) {
    const some = pixels.slice(from, from + columns * columns);
    const rows = Math.ceil(some.length / columns);
    const sheet = Buffer.alloc(rows * columns * size * size * 4);
    for (const [k, picture] of some.entries()) {
      const at = Math.floor(k / columns) * size * columns * size * 4 + (k % columns) * size * 4;
      for (let y = 0; y < size; y++) picture.copy(sheet, at + y * columns * size * 4, y * size * 4, (y + 1) * size * 4);
    }
    const raw = { width: columns * size, height: rows * size, channels: 4 };
    // Flat art is kept exactly. Shaded art loses what nobody sees.
    const options = style === "3d" ? { quality: 90, alphaQuality: 95, effort: 5 } : { lossless: true, effort: 5 };
    const file = await sharp(sheet, { raw }).webp(options).toBuffer();
    const name = `${style}-${part}.webp`;
    writeFileSync(`${out}/${name}`, file);
    files[name] = createHash("sha256").update(file).digest("hex");
    bytes += file.length;
  }
  styles.push({ style, emoji: drawn });
  console.log(`${style}: ${drawn.length} pictures, ${(bytes / 1e6).toFixed(2)} MB`);
}
const table = emoji.map((e) => ({
  hex: e.hexcode,
  label: words(e.label),
  tags: [...new Set((e.tags ?? []).map(words))].filter((tag) => tag && tag !== words(e.label)),
  group: e.group,
  subgroup: e.subgroup,
}));
writeFileSync(`${out}/index.json`, JSON.stringify({ emoji: table, styles, files }));
console.log(`${emoji.length} emoji, ${styles.reduce((sum, s) => sum + s.emoji.length, 0)} pictures in ${out}`);
