"""Byte pairs in CLIP's format: learned from captions, written as transformers reads them, and applied."""
import collections
import functools
import json
import os
import re

START, END = "<|startoftext|>", "<|endoftext|>"
PATTERN = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.I)


def byte_letters():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return {**{b: chr(b) for b in keep}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


LETTERS = byte_letters()


def split(text):
    text = re.sub(r"\s+", " ", text).strip().lower()
    return ["".join(LETTERS[b] for b in w.encode()) for w in PATTERN.findall(text)]


def merged(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def learn(captions, folder, size=3072, length=32):
    words = collections.Counter(w for c in captions for w in split(c))
    table = [[list(w[:-1]) + [w[-1] + "</w>"], n] for w, n in sorted(words.items())]
    counts, where = collections.Counter(), collections.defaultdict(set)

    def add(i, sign):
        s, n = table[i]
        for p in zip(s, s[1:]):
            counts[p] += sign * n
            where[p].add(i)

    for i in range(len(table)):
        add(i, 1)
    merges = []
    while len(merges) < size - 514 and counts:
        best = max(counts, key=lambda p: (counts[p], p))
        if counts[best] <= 0:
            break
        merges.append(best)
        for i in list(where[best]):
            add(i, -1)
            table[i][0] = merged(table[i][0], best)
            add(i, 1)
        del counts[best]
    base = list(LETTERS.values())
    vocab = base + [b + "</w>" for b in base] + [a + b for a, b in merges] + [START, END]
    os.makedirs(folder, exist_ok=True)
    special = lambda s: dict(content=s, lstrip=False, normalized=True, rstrip=False, single_word=False)
    for name, value in {
        "vocab.json": {t: i for i, t in enumerate(vocab)},
        "tokenizer_config.json": dict(bos_token=START, eos_token=END, unk_token=END, pad_token=END, model_max_length=length,
                                      do_lower_case=True, add_prefix_space=False, errors="replace", tokenizer_class="CLIPTokenizer"),
        "special_tokens_map.json": dict(bos_token=special(START), eos_token=special(END), unk_token=special(END), pad_token=END),
    }.items():
        with open(f"{folder}/{name}", "w") as f:
            json.dump(value, f, ensure_ascii=False)
    with open(f"{folder}/merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return len(words), len(vocab)


class Tokenizer:
    def __init__(self, folder):
        self.vocab = json.load(open(f"{folder}/vocab.json"))
        lines = open(f"{folder}/merges.txt").read().split("\n")[1:]
        self.ranks = {tuple(line.split(" ")): i for i, line in enumerate(lines) if line}
        self.length = json.load(open(f"{folder}/tokenizer_config.json"))["model_max_length"]
        self.start, self.end = self.vocab[START], self.vocab[END]
        self.word = functools.lru_cache(None)(self._word)

    def _word(self, w):
        s = list(w[:-1]) + [w[-1] + "</w>"]
        while len(s) > 1:
            best = min(zip(s, s[1:]), key=lambda p: self.ranks.get(p, 1 << 30))
            if best not in self.ranks:
                break
            s = merged(s, best)
        return [self.vocab[x] for x in s]

    def __call__(self, text):
        ids = [i for w in split(text) for i in self.word(w)][: self.length - 2]
        return [self.start, *ids] + [self.end] * (self.length - 1 - len(ids))
