/**
 * Decides when a preview is worth its time. A preview costs a run of the decoder; all of them together may take about a
 * third of the whole time, so half of what the steps take. The cost is measured, and remembered for the next picture.
 */
export class PreviewBudget {
  private cost: number | undefined;
  private spent = 0;
  private started = 0;
  /** Time between two steps without a preview; the device is one step ahead, so a preview waits as long for that step. */
  private stepTime = Number.POSITIVE_INFINITY;
  /** When the last step came, unless a preview upset the pace. */
  private lastStep: number | undefined;

  /** A new picture begins; what a preview costs stays known. */
  start(): void {
    this.started = 0;
    this.spent = 0;
    this.lastStep = undefined;
  }

  /** Forgets what was measured: another model or another size. */
  reset(): void {
    this.cost = undefined;
    this.stepTime = Number.POSITIVE_INFINITY;
  }

  /** Whether to draw a preview after this step. Asked once after each; the last brings the picture itself. */
  affords(step: number, steps: number, now: number): boolean {
    this.started ||= now; // what comes before the first step is preparation
    if (this.lastStep !== undefined) this.stepTime = Math.min(this.stepTime, now - this.lastStep);
    this.lastStep = now;
    if (step >= steps || !Number.isFinite(this.stepTime)) return false;
    if (this.cost === undefined) return steps > 4; // the first one finds out, unless the run is short
    return this.spent + this.cost <= (now - this.started - this.spent) / 2;
  }

  /** A preview took so long, the wait for the step included. */
  paid(milliseconds: number): void {
    const own = Math.max(milliseconds - this.stepTime, milliseconds / 20);
    this.spent += own;
    this.cost = this.cost === undefined ? own : (Math.min(this.cost, own) + own) / 2; // the first run is the slowest
    this.lastStep = undefined;
  }
}
