"""After weights/data/build.mjs, on a CPU: hues of the pictures, the tokenizer, and (once; then committed) the held-out list.

    python3 prepare.py --data .train/data [--holdout]
"""
import argparse
import json
import random

import numpy as np

import captions
import pictures
import tokenizer


def hue(a):
    """The clear hue of uint8 [4, H, W] in degrees, and its share of the drawing; none without one."""
    f = a.astype(np.float32) / 255
    rgb, alpha = f[:3], f[3] > 0.5
    high, low = rgb.max(0), rgb.min(0)
    d = np.maximum(high - low, 1e-6)
    strong = alpha & (high - low > 0.35 * high) & (high > 0.3)
    if alpha.sum() < 200 or strong.sum() < 0.4 * alpha.sum():
        return None
    r, g, b = rgb
    h = np.where(high == r, ((g - b) / d) % 6, np.where(high == g, (b - r) / d + 2, (r - g) / d + 4)) * 60
    h = h[strong] % 360
    bins = np.histogram(h, 72, (0, 360))[0].astype(float)
    window = sum(np.roll(bins, k) for k in range(-4, 5))
    at = int(window.argmax())
    if window[at] < 0.7 * bins.sum():
        return None
    off = (h - (at * 5 + 2.5) + 180) % 360 - 180
    off = off[abs(off) < 25]
    return [round(float((at * 5 + 2.5 + np.median(off)) % 360), 1), round(float(window[at] / bins.sum() * strong.sum() / alpha.sum()), 3)]


def hold_out(world, rng):
    """Pairs of emoji and style, colours of emoji, and pairs of things, which training never sees together."""
    e, held, by = world.emoji, {s: [] for s in captions.STYLES}, {}
    for i, (k, style) in enumerate(world.pictures):
        by.setdefault(k, []).append(style)
    free = [k for k in by if len(by[k]) >= 4 and e[k]["group"] not in captions.SCENES]
    for k in sorted(rng.sample(free, 320)):
        held[rng.choice(by[k])].append(e[k]["hex"])
    world = captions.World({"emoji": e, "styles": [{"style": s, "emoji": [k for k, t in world.pictures if t == s]} for s in captions.STYLES]},
                           world.hues, dict(pairs=held, colours=[], compositions=[]))
    plain = [i for s in captions.STYLES for i in world.things[s]
             if world.hue(i) is not None and not set(e[world.pictures[i][0]]["label"].split(" ")) & captions.COLOURS
             and len(e[world.pictures[i][0]]["label"].split(" ")) <= 2]
    colours = set()
    while len(colours) < 100:
        i = rng.choice(plain)
        h = e[world.pictures[i][0]]["hex"]
        own = {captions.hue_name(world.hue(j)) for j in plain if e[world.pictures[j][0]]["hex"] == h}
        colours.add((h, rng.choice([c for c in captions.HUES if c not in own])))
    out = []
    while len(out) < 120:
        i, j = rng.choice(plain), rng.choice(plain)
        a, b = (e[world.pictures[k][0]]["hex"] for k in (i, j))
        if a == b:
            continue
        c, d = rng.sample(list(captions.HUES), 2)
        g = rng.choice([x for x in captions.GROUNDS if not {c, d} & set(x.split(" ")) and x != "navy"])
        if (a, c) not in colours and (b, d) not in colours:
            out.append([a, c, captions.RELATIONS[len(out) % 4], b, d, g])
    return dict(pairs=held, colours=sorted(colours), compositions=out)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--data", default=".train/data")
    p.add_argument("--holdout", action="store_true", help="draw a new held-out list")
    a = p.parse_args()
    world, index = pictures.load_world(a.data)
    pixels = pictures.load_pixels(a.data, index)
    assert len(pixels) == len(world.pictures)
    world.hues = [hue(x) for x in pixels]
    json.dump(world.hues, open(f"{a.data}/hues.json", "w"))
    print(len(pixels), "pictures,", sum(h is not None for h in world.hues), "of a clear hue")
    if a.holdout:
        found = hold_out(world, random.Random(7))
        with open(f"{pictures.HERE}/holdout.json", "w") as f:
            lines = {k: ",\n".join("  " + json.dumps(x, separators=(",", ":")) for x in found[k]) for k in ("colours", "compositions")}
            pairs = ",\n".join(f'  "{s}": "{" ".join(h)}"' for s, h in found["pairs"].items())
            f.write('{\n"pairs": {\n%s\n},\n"colours": [\n%s\n],\n"compositions": [\n%s\n]\n}\n' % (pairs, lines["colours"], lines["compositions"]))
    world, _ = pictures.load_world(a.data)
    rng, said = random.Random(1), []
    for i in world.seen:  # every label and keyword
        said += [captions.single(rng, world, i)[1]() for _ in range(8)] + world.emoji[world.pictures[i][0]]["tags"]
    for _ in range(60000):
        said.append(captions.plan(rng, world)[1]())
    words, size = tokenizer.learn(said, f"{a.data}/tokenizer")
    tokens = tokenizer.Tokenizer(f"{a.data}/tokenizer")
    lengths = [1 + next((k for k, t in enumerate(tokens(s)) if t == tokens.end), 32) for s in rng.sample(said, 5000)]
    print(f"{words} words, {size} tokens; a caption has {np.mean(lengths):.1f} tokens, {max(lengths)} at most")
