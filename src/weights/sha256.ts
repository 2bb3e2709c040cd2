/** What a digest is computed with, piece by piece. */
export interface Digest {
  update(bytes: Uint8Array): void;
  /** In hexadecimal; nothing may be added after it. */
  hex(): string;
}

/** The system's own where there is one: Node's. Browsers' digests take whole messages only, which files are too large for. */
export function sha256(): Digest {
  const crypto = globalThis.process?.getBuiltinModule?.("node:crypto");
  if (!crypto) return new Sha256();
  const hash = crypto.createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
}

/** The first 32 bits of the fractional parts of a root of the first `count` primes. */
function rootsOfPrimes(count: number, root: (x: number) => number): Int32Array {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((p) => n % p)) primes.push(n);
  return Int32Array.from(primes, (p) => ((root(p) % 1) * 2 ** 32) | 0);
}

/** SHA-256 (FIPS 180-4) of bytes that arrive in pieces. */
export class Sha256 implements Digest {
  private readonly constants = rootsOfPrimes(64, Math.cbrt);
  private readonly state = rootsOfPrimes(8, Math.sqrt);
  private readonly block = new Uint8Array(64);
  private readonly words = new Int32Array(64);
  private length = 0;

  update(bytes: Uint8Array): void {
    let at = 0;
    const filled = this.length % 64;
    this.length += bytes.byteLength;
    if (filled > 0) {
      at = Math.min(64 - filled, bytes.byteLength);
      this.block.set(bytes.subarray(0, at), filled);
      if (filled + at < 64) return;
      this.mix(this.block, 0);
    }
    for (; at + 64 <= bytes.byteLength; at += 64) this.mix(bytes, at);
    this.block.set(bytes.subarray(at));
  }

  hex(): string {
    const bits = this.length * 8;
    const filled = this.length % 64;
    // A one, zeros, and the length in bits as 64-bit number at the end of a block.
    const tail = new Uint8Array((filled < 56 ? 64 : 128) - filled);
    tail[0] = 0x80;
    const view = new DataView(tail.buffer);
    view.setUint32(tail.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(tail.length - 4, bits % 2 ** 32);
    this.update(tail);
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  private mix(bytes: Uint8Array, at: number): void {
    const { words: w, state, constants } = this;
    for (let t = 0; t < 16; t++, at += 4) {
      w[t] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    }
    for (let t = 16; t < 64; t++) {
      const x = w[t - 15]!;
      const y = w[t - 2]!;
      const s0 = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
      const s1 = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
      w[t] = (w[t - 16]! + s0 + w[t - 7]! + s1) | 0;
    }
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    let e = state[4]!;
    let f = state[5]!;
    let g = state[6]!;
    let h = state[7]!;
    for (let t = 0; t < 64; t++) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
      const one = (h + s1 + ((e & f) ^ (~e & g)) + constants[t]! + w[t]!) | 0;
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
    state[4]! += e;
    state[5]! += f;
    state[6]! += g;
    state[7]! += h;
  }
}

const turn = (x: number, by: number): number => (x >>> by) | (x << (32 - by));
