/**
 * Decides when a preview is worth its time. A preview costs a run of the decoder; all of them together may take about a
 * third of the whole time, so half of what the steps take. The cost is measured, and remembered for the next picture.
 */
export class PreviewBudget {
  private spent = 0;
  private started = 0;

  constructor(
    /** Milliseconds of a preview, as far as known. */
    private cost: number | undefined = undefined,
    private readonly share = 0.5,
  ) {}

  /** A new picture begins; what a preview costs stays known. */
  start(now: number): void {
    this.started = now;
    this.spent = 0;
  }

  /** Forgets the cost: another model or another size. */
  reset(): void {
    this.cost = undefined;
  }

  /** Whether to draw a preview after this step, the last of which brings the picture itself. */
  affords(step: number, steps: number, now: number): boolean {
    if (step >= steps) return false;
    if (this.cost === undefined) return steps > 4 && this.spent === 0; // the first one finds out, unless the run is short
    const stepping = now - this.started - this.spent;
    return this.spent + this.cost <= stepping * this.share;
  }

  /** A preview took so long. */
  paid(milliseconds: number): void {
    this.spent += milliseconds;
    // The first run of the decoder also compiles it: later ones count more.
    this.cost = this.cost === undefined ? milliseconds : Math.min(this.cost, milliseconds) * 0.7 + milliseconds * 0.3;
  }
}
