"""What is drawn and what is said about it: single pictures, recoloured ones, compositions, and their captions.

`plan(rng, world, kind)` gives a row of numbers for `pictures.draw` and a function that words it anew at each call:
three pieces of (picture or -1, hue shift, scale, x, y), then two colours of the background and the direction of its
gradient (below 0: plain). Boxes follow from the row: `boxes(row)`.
"""
import re

STYLES = ["twemoji", "noto", "blob", "flat", "3d", "classic", "fx"]
HUES = {"red": 2, "orange": 28, "yellow": 48, "green": 120, "teal": 175, "blue": 215, "purple": 275, "pink": 325}
GROUNDS = {
    "white": (255, 255, 255), "red": (230, 60, 60), "orange": (250, 150, 50), "yellow": (255, 222, 80), "green": (70, 180, 90),
    "light green": (170, 230, 150), "teal": (40, 170, 170), "blue": (60, 120, 230), "light blue": (150, 210, 250),
    "navy": (30, 40, 100), "purple": (140, 80, 200), "pink": (250, 160, 200), "brown": (140, 90, 60), "black": (15, 15, 18),
    "gray": (150, 150, 155), "beige": (240, 225, 195),
}
COLOURS = set(HUES) | {"brown", "black", "white", "grey", "gray", "light"}
RELATIONS = ["left of", "right of", "above", "below"]
ALIASES = {
    "automobile": "car", "deciduous tree": "tree", "evergreen tree": "pine tree", "doughnut": "donut", "grinning cat": "cat",
    "hot beverage": "cup of coffee", "locomotive": "steam train", "bicycle": "bike", "sailboat": "boat", "airplane": "plane",
    "wrapped gift": "gift", "red heart": "heart", "jack-o-lantern": "halloween pumpkin", "flying saucer": "ufo",
    "baby chick": "chick", "lady beetle": "ladybug", "honeybee": "bee", "t-rex": "dinosaur", "spouting whale": "whale",
    "clinking beer mugs": "beers", "beer mug": "beer", "soft ice cream": "ice cream cone", "french fries": "fries",
    "crescent moon": "moon", "racing car": "race car", "fire engine": "fire truck", "light bulb": "lamp", "mobile phone": "phone",
    "grinning face": "happy face", "crying face": "sad face", "pile of poo": "poop", "cheese wedge": "cheese",
    "slice of pizza": "pizza", "red apple": "apple", "tropical fish": "fish", "deer": "stag", "horse face": "horse",
    "high voltage": "lightning", "house with garden": "garden house", "closed umbrella": "umbrella", "carousel horse": "carousel",
    "shortcake": "cake", "birthday cake": "cake", "hatching chick": "chick in an egg", "rosette": "flower badge",
}
GROUPS = {
    "smileys-emotion": "smiley", "people-body": "person", "animals-nature": "animal or plant", "food-drink": "food",
    "travel-places": "travel", "activities": "activity", "objects": "object", "symbols": "symbol",
}
WIDTH = 3 * 5 + 7
SCENES = {"people-body", "symbols"}


def article(phrase):
    last = phrase.split(" ")[-1]
    if last.endswith("s") and last[-2:] not in ("ss", "us", "is"):
        return phrase
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def hue_name(h):
    return min(HUES, key=lambda k: abs((HUES[k] - h + 180) % 360 - 180))


class World:
    """The table of pictures: emoji, style and hue of each, what is held out, and weights."""
    def __init__(self, index, hues, holdout):
        self.emoji, self.pictures, self.of = index["emoji"], [], {}
        held = {(h, s) for s, hs in holdout["pairs"].items() for h in hs}
        self.held = []
        for s in index["styles"]:
            for e in s["emoji"]:
                self.of[(e, s["style"])] = len(self.pictures)
                self.held.append((self.emoji[e]["hex"], s["style"]) in held)
                self.pictures.append((e, s["style"]))
        self.hues = hues
        self.no_colours = {(h, c) for h, c in holdout["colours"]}
        self.no_pairs = {frozenset((c[0], c[3])) for c in holdout["compositions"]}
        # People and symbols are thinned to a share of what the rest gets.
        weight = {"people-body": 0.35, "symbols": 0.5}
        self.seen = [i for i, h in enumerate(self.held) if not h]
        self.weights, total = [], 0.0
        for i in self.seen:
            total += weight.get(self.emoji[self.pictures[i][0]]["group"], 1.0)
            self.weights.append(total)
        things = [i for i in self.seen if self.thing(self.pictures[i][0])]
        self.things = {s: [i for i in things if self.pictures[i][1] == s] for s in STYLES}

    def thing(self, e):
        e = self.emoji[e]
        return e["group"] not in SCENES and len(e["label"].split(" ")) <= 3

    def hue(self, i):
        """The clear hue of a picture, or none."""
        return self.hues[i][0] if self.hues[i] and self.hues[i][1] > 0.45 else None


def names(emoji):
    """The label, and what else the thing is called."""
    label = emoji["label"]
    out = [label]
    if label in ALIASES:
        out += [ALIASES[label]] * 2
    if label.endswith(" face") and emoji["group"] == "animals-nature":
        out.append(label[:-5])
    return out


def coloured(name, colour):
    words = [w for w in name.split(" ") if w not in COLOURS] or [name]
    return colour + " " + " ".join(words)


def pick_hue(rng, world, i, avoid=()):
    """A colour that the picture does not have, and the shift to it; none where the picture has no clear hue."""
    h, e = world.hue(i), world.emoji[world.pictures[i][0]]
    if h is None:
        return None, 0.0
    own = hue_name(h)
    free = [c for c in HUES if c != own and c not in avoid and (e["hex"], c) not in world.no_colours]
    colour = rng.choice(free)
    return colour, (HUES[colour] + rng.uniform(-6, 6) - h) % 360


def naming(rng, world, i, colour=None, size=None):
    """A function that names a piece, with its colour where it was given one, and often where it has a clear one."""
    e = world.emoji[world.pictures[i][0]]
    h = world.hue(i)

    def say(bare=False):
        name = rng.choice(names(e))
        if colour:
            name = coloured(name, colour)
        elif h is not None and world.hues[i][1] > 0.55 and e["group"] not in SCENES and rng.random() < 0.3 \
                and not set(name.split(" ")) & COLOURS:
            name = hue_name(h) + " " + name
        if size:
            name = size + " " + name
        return name if bare or e["group"] == "symbols" else article(name)
    return say


def jitter(rng, rgb):
    return [min(255, max(0, v + rng.randint(-10, 10))) for v in rgb]


def ground(rng, kind=None):
    """Two colours, the direction of the gradient, and the words."""
    kind = kind or rng.choices(["none", "plain", "gradient"], [0.5, 0.38, 0.12])[0]
    if kind == "none":
        return [255, 255, 255, 255, 255, 255, -1], lambda: rng.choice([" on a white background", ", white background"]) if rng.random() < 0.15 else ""
    a = rng.choice(list(GROUNDS)[1:])
    if kind == "plain":
        rgb = jitter(rng, GROUNDS[a])
        return [*rgb, *rgb, -1], lambda: rng.choice([f" on a {a} background", f" on a {a} background", f", {a} background"])
    b = rng.choice([c for c in GROUNDS if c != a])
    way = rng.choice([0, 0, 90, 45])  # degrees: 0 from top to bottom, 90 from left to right

    def words():
        if way == 0 and rng.random() < 0.4:
            return f" on a background that is {a} at the top and {b} at the bottom"
        return rng.choice([f" on a {a} to {b} gradient", f" on a gradient from {a} to {b}", f", {a} and {b} gradient background"])
    return [*jitter(rng, GROUNDS[a]), *jitter(rng, GROUNDS[b]), way], words


def single(rng, world, i=None, colour=None, kind=None):
    i = rng.choices(world.seen, cum_weights=world.weights)[0] if i is None else i
    e, style = world.emoji[world.pictures[i][0]], world.pictures[i][1]
    back, back_words = ground(rng, kind)
    shift = 0.0
    if colour is None and rng.random() < 0.25 and e["group"] != "people-body":
        colour, shift = pick_hue(rng, world, i)
    scale, size, where, x, y = 1.0, None, "", 64.0, 64.0
    r = rng.random()
    if r < 0.5:
        scale = rng.uniform(0.86, 1.0)
        m = 64 * (1 - scale) + 2
        x, y = x + rng.uniform(-m, m), y + rng.uniform(-m, m)
    elif r < 0.62:
        size = rng.choice(["small", "tiny", "little"])
        scale = rng.uniform(0.3, 0.48)
        if rng.random() < 0.7:
            dx, dy = rng.choice([(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)])
            x, y = 64 + 32 * dx + rng.uniform(-4, 4), 64 + 32 * dy + rng.uniform(-4, 4)
            side, level = {-1: "left", 0: "", 1: "right"}[dx], {-1: "top", 0: "", 1: "bottom"}[dy]
            where = f" in the {level} {side} corner" if side and level else f" on the {side}" if side else f" at the {level}"
    elif r < 0.68:
        size = rng.choice(["big", "large"])
    say = naming(rng, world, i, colour, size)
    tags = [t for t in e["tags"] if len(t.split(" ")) < 3]

    def words():
        a, st, r = say(rng.random() < 0.4), f"{style} style", rng.random()
        some = rng.sample(tags, min(len(tags), rng.choice([1, 2, 2, 3])))
        if where or r < 0.28:
            s = a + where + (f", {st}" if rng.random() < 0.4 else "")
        elif r < 0.62:
            s = rng.choice([f"{a}, {st}", f"{a}, {st}", f"{a} in {st}", f"{st} emoji of {a}", f"{st}, {a}", f"{a}, {st} sticker"])
        elif r < 0.74:
            s = rng.choice([f"emoji of {a}", f"{a} emoji", f"picture of {a}", f"a sticker of {a}", f"{a} sticker"])
        elif r < 0.80:
            s = f"{GROUPS[e['group']]}: {a}" + (f", {st}" if rng.random() < 0.5 else "")
        elif r < 0.93 or colour or not some:
            s = ", ".join([a, *some]) + (f", {st}" if rng.random() < 0.5 else "")
        else:
            s = ", ".join(some) + (f", {st}" if rng.random() < 0.6 else "")
        return s + back_words()
    return [i, shift, scale, x, y] + [-1, 0, 1, 64, 64] * 2 + back, words


def piece(rng, world, pool, taken, avoid):
    """A thing that may stand beside those taken already, sometimes recoloured."""
    while True:
        i = rng.choice(pool)
        hexes = world.emoji[world.pictures[i][0]]["hex"]
        if all(hexes != t and frozenset((hexes, t)) not in world.no_pairs for t in taken):
            break
    taken.append(hexes)
    colour, shift = pick_hue(rng, world, i, avoid) if rng.random() < 0.45 else (None, 0.0)
    return i, colour, shift


def pair_places(rng, relation, small, big):
    """Where two pieces go: scale, x, y of each."""
    s = [rng.uniform(0.38, 0.5), rng.uniform(0.38, 0.5)]
    if small:
        s = [rng.uniform(0.24, 0.32), rng.uniform(0.48, 0.58)]
    if big:
        s = [rng.uniform(0.48, 0.58), rng.uniform(0.24, 0.32)]
    near, far = rng.uniform(28, 36), rng.uniform(92, 100)
    across = [rng.uniform(52, 76), rng.uniform(52, 76)]
    a, b = (near, far) if relation in ("left of", "above", "next to", "and") else (far, near)
    # A big piece stays inside the picture.
    a, b = (min(max(v, 61 * k), 128 - 61 * k) for v, k in zip((a, b), s))
    if relation in ("above", "below"):
        return (s[0], across[0], a), (s[1], across[1], b)
    return (s[0], a, across[0]), (s[1], b, across[1])


def pair(rng, world, spec=None):
    """Two pieces in a relation. A spec [picture, colour, relation, picture, colour, ground] fixes them."""
    style = rng.choices(STYLES, [len(world.things[s]) for s in STYLES])[0]
    small, big = rng.random() < 0.12, rng.random() < 0.12
    taken = []
    if spec:
        i, ci, relation, j, cj, g = spec
        si, sj = ((HUES[c] - world.hue(k)) % 360 if c else 0.0 for k, c in ((i, ci), (j, cj)))
        small = big = False
        back, back_words = [*GROUNDS[g], *GROUNDS[g], -1], lambda: f" on a {g} background"
    else:
        relation = rng.choices([*RELATIONS, "next to", "and"], [3, 3, 3, 3, 1, 2])[0]
        back, back_words = ground(rng, rng.choices(["none", "plain", "gradient"], [0.3, 0.55, 0.15])[0])
        i, ci, si = piece(rng, world, world.things[style], taken, ())
        j, cj, sj = piece(rng, world, world.things[style if rng.random() < 0.85 else rng.choice(STYLES)], taken, ())
    small = small and not big
    p, q = pair_places(rng, relation, small, big)
    if relation in ("next to", "and") and rng.random() < 0.5:
        p, q = (p[0], q[1], p[2]), (q[0], p[1], q[2])
    a = naming(rng, world, i, ci, "small" if small else "big" if big else None)
    b = naming(rng, world, j, cj, "big" if small else "small" if big else None)
    style_words = f", {style} style" if world.pictures[i][1] == world.pictures[j][1] else ""

    def words():
        st = style_words if rng.random() < 0.35 else ""
        if spec or rng.random() < 0.75:
            verb = {"left of": ["left of", "to the left of"], "right of": ["right of", "to the right of"]}.get(relation, [relation])
            return f"{a()} {'left of' if spec and relation == 'left of' else rng.choice(verb)} {b()}{back_words()}{st}"
        flip = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}.get(relation, relation)
        if relation in ("left of", "right of") and rng.random() < 0.4:
            side = ["left", "right"] if relation == "left of" else ["right", "left"]
            return f"{a()} on the {side[0]} and {b()} on the {side[1]}{back_words()}{st}"
        return f"{b()} {flip} {a()}{back_words()}{st}"
    return [i, si, *p, j, sj, *q] + [-1, 0, 1, 64, 64] + back, words


def triple(rng, world):
    style = rng.choices(STYLES, [len(world.things[s]) for s in STYLES])[0]
    taken, row = [], []
    pieces = [piece(rng, world, world.things[style], taken, ()) for _ in range(3)]
    upright = rng.random() < 0.3
    for k, (i, _, shift) in enumerate(pieces):
        along, across = 22 + 42 * k + rng.uniform(-2, 2), rng.uniform(50, 78)
        row += [i, shift, rng.uniform(0.27, 0.33), *((across, along) if upright else (along, across))]
    back, back_words = ground(rng, rng.choices(["none", "plain", "gradient"], [0.35, 0.5, 0.15])[0])
    a, b, c = (naming(rng, world, i, colour) for i, colour, _ in pieces)

    def words():
        st = f", {style} style" if rng.random() < 0.3 else ""
        order = " from top to bottom" if upright else " in a row"
        if rng.random() < 0.35:
            return f"{b()} between {a()} and {c()}{back_words()}{st}"
        return f"{a()}, {b()} and {c()}{order if rng.random() < 0.7 else ''}{back_words()}{st}"
    return row + back, words


def plan(rng, world, shares=(0.62, 0.3, 0.08)):
    return rng.choices([single, pair, triple], shares)[0](rng, world)


def boxes(row):
    """Left, top, right, bottom of each piece's square, in pixels."""
    out = []
    for k in range(3):
        i, _, s, x, y = row[5 * k: 5 * k + 5]
        if i >= 0:
            out.append([x - 64 * s, y - 64 * s, x + 64 * s, y + 64 * s])
    return out


def tidy(text):
    return re.sub(r"\s+", " ", text).strip().lower()
