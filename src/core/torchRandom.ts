const words = 624;
const middle = 397;

/** Mersenne Twister, MT19937 (Matsumoto and Nishimura 1998): 32 random bits a draw. */
class MersenneTwister {
  private readonly state = new Uint32Array(words);
  private next = words;

  constructor(seed: number) {
    this.state[0] = seed;
    for (let i = 1; i < words; i++) {
      const last = this.state[i - 1]!;
      this.state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
    }
  }

  draw(): number {
    if (this.next === words) this.refill();
    let bits = this.state[this.next++]!;
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  }

  private refill(): void {
    const { state } = this;
    for (let i = 0; i < words; i++) {
      const bits = (state[i]! & 0x80000000) | (state[(i + 1) % words]! & 0x7fffffff);
      state[i] = state[(i + middle) % words]! ^ (bits >>> 1) ^ (bits & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }
}

/**
 * The stream of normal variates that PyTorch's generator on the CPU gives for a seed, so that a seed means the same
 * picture here and there. Successive calls continue the stream. Agrees with `torch.randn` up to rounding of its
 * logarithm and sine.
 */
export class TorchGenerator {
  private readonly bits: MersenneTwister;
  private cached: number | undefined;

  /** Only the low 32 bits of the seed matter, as in PyTorch. */
  constructor(seed: number) {
    this.bits = new MersenneTwister(seed % 2 ** 32);
  }

  /** `torch.randn` of a contiguous float32 tensor of `count` elements, in flat order. */
  randn(count: number): Float32Array<ArrayBuffer> {
    const out = new Float32Array(count);
    if (count < 16) return out.map(() => this.single());
    for (let i = 0; i < count; i++) out[i] = this.uniform24();
    for (let i = 0; i + 16 <= count; i += 16) boxMuller(out.subarray(i, i + 16));
    if (count % 16 !== 0) {
      const tail = out.subarray(count - 16); // drawn anew as a whole, over values that were final
      for (let i = 0; i < 16; i++) tail[i] = this.uniform24();
      boxMuller(tail);
    }
    return out;
  }

  private uniform24(): number {
    return (this.bits.draw() & 0xffffff) * 2 ** -24;
  }

  private uniform53(): number {
    const high = this.bits.draw() & 0x1fffff; // of 64 bits drawn, high word first, the low 53 count
    return (high * 2 ** 32 + this.bits.draw()) * 2 ** -53;
  }

  /** The path of small tensors: double precision, two variates a pair of draws. */
  private single(): number {
    if (this.cached !== undefined) {
      const value = this.cached;
      this.cached = undefined;
      return value;
    }
    const angle = 2 * Math.PI * this.uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.uniform53()));
    this.cached = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/** 16 uniforms to 16 normals in place: element j pairs with j + 8. */
function boxMuller(block: Float32Array): void {
  for (let j = 0; j < 8; j++) {
    const radius = Math.sqrt(-2 * Math.log(1 - block[j]!));
    const angle = 2 * Math.PI * block[j + 8]!;
    block[j] = radius * Math.cos(angle);
    block[j + 8] = radius * Math.sin(angle);
  }
}
