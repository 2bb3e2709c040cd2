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
      this.mix(this.block, 0, 64);
    }
    const end = at + Math.floor((bytes.byteLength - at) / 64) * 64;
    this.mix(bytes, at, end);
    this.block.set(bytes.subarray(end));
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

  /** Takes in whole blocks. Everything that changes is a local variable: engines keep those in registers. */
  private mix(bytes: Uint8Array, begin: number, end: number): void {
    const { words: w, state, constants } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let s0 = state[0]!;
    let s1 = state[1]!;
    let s2 = state[2]!;
    let s3 = state[3]!;
    let s4 = state[4]!;
    let s5 = state[5]!;
    let s6 = state[6]!;
    let s7 = state[7]!;
    for (let at = begin; at < end; at += 64) {
      for (let t = 0; t < 16; t++) w[t] = view.getInt32(at + t * 4);
      for (let t = 16; t < 64; t++) {
        const x = w[t - 15]!;
        const y = w[t - 2]!;
        const one = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
        const two = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
        w[t] = (w[t - 16]! + one + w[t - 7]! + two) | 0;
      }
      let a = s0;
      let b = s1;
      let c = s2;
      let d = s3;
      let e = s4;
      let f = s5;
      let g = s6;
      let h = s7;
      for (let t = 0; t < 64; t++) {
        const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (g ^ (e & (f ^ g))) + constants[t]! + w[t]!) | 0;
        const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) | (c & (a | b)))) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + one) | 0;
        d = c;
        c = b;
        b = a;
        a = (one + two) | 0;
      }
      s0 = (s0 + a) | 0;
      s1 = (s1 + b) | 0;
      s2 = (s2 + c) | 0;
      s3 = (s3 + d) | 0;
      s4 = (s4 + e) | 0;
      s5 = (s5 + f) | 0;
      s6 = (s6 + g) | 0;
      s7 = (s7 + h) | 0;
    }
    state.set([s0, s1, s2, s3, s4, s5, s6, s7]);
  }
}

const turn = (x: number, by: number): number => (x >>> by) | (x << (32 - by));
