import { invariant, WebldmError } from "../core/invariant.js";
import { packError, unpackError } from "./errors.js";
import type { Message } from "./message.js";
import { type Callable, pack, unpack } from "./pack.js";

/** What one call hands over to the other side. */
export class Handed {
  readonly functions = new Set<number>();
  /** What those functions threw: where the call fails for it, its caller gets the very object. */
  readonly thrown = new Map<number, unknown>();
}

export interface CallOptions {
  /** Keeps functions among the arguments alive until {@link Channel.release}; without, they end with the answer. */
  readonly handed?: Handed;
  /** Gets an answer that comes after the call was aborted. */
  late?(value: unknown): void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  readonly handed: Handed;
}

/**
 * Calls across a message port. What goes over are structured clones, and beside them functions, which the other side can then
 * call, signals, which abort there as well, and errors that keep their class.
 */
export class Channel {
  private last = 0;
  private closed: Error | undefined;
  private readonly waiting = new Map<number, Waiting>();
  /** Functions of this side that the other may call. */
  private readonly locals = new Map<number, { readonly run: Callable; readonly handed: Handed }>();
  /** Numbers of the other side's functions. */
  private readonly remotes = new WeakMap<Callable, number>();
  /** Signals of the other side. */
  private readonly controllers = new Map<number, AbortController>();
  /** Numbers of what the other side threw. */
  private readonly caught = new WeakMap<object, number>();
  /** What {@link first} and the results of calls hold. */
  private readonly lasting = new Handed();

  /**
   * @param transfers whether memory in messages leaves this side, which must not need it then
   * @param first what the other side can call from the beginning
   */
  constructor(
    private readonly port: MessagePort,
    private readonly transfers: boolean,
    first?: Callable,
  ) {
    if (first) this.locals.set(0, { run: first, handed: this.lasting });
    port.onmessage = ({ data }: MessageEvent<Message>) => this.take(data);
  }

  /** Calls what the other side gave to its channel. */
  start(...args: unknown[]): Promise<unknown> {
    return this.send(0, args, {});
  }

  /** Calls a function of the other side. */
  call(remote: Callable, args: readonly unknown[], options: CallOptions = {}): Promise<unknown> {
    const id = this.remotes.get(remote);
    invariant(id !== undefined, "channel: expected a function of the other side");
    return this.send(id, args, options);
  }

  /** Ends what a call handed over. */
  release({ functions, thrown }: Handed): void {
    for (const id of functions) this.locals.delete(id);
    functions.clear();
    thrown.clear();
  }

  /** Ends functions that results held. */
  forget(functions: readonly Callable[]): void {
    for (const [id, { run }] of this.locals) if (functions.includes(run)) this.locals.delete(id);
  }

  /** Refuses what is under way and what comes. */
  close(error: Error): void {
    this.closed ??= error;
    for (const { reject } of this.waiting.values()) reject(this.closed);
    this.waiting.clear();
    this.port.close();
  }

  private async send(id: number, args: readonly unknown[], { handed, late }: CallOptions): Promise<unknown> {
    if (this.closed) throw this.closed;
    const mine = handed ?? new Handed();
    const signals = new Map<number, AbortSignal>();
    const over = new AbortController();
    try {
      const packed = this.pack(args, mine, signals);
      for (const signal of signals.values()) signal.throwIfAborted();
      const call = this.number();
      return await new Promise((resolve, reject) => {
        let aborted = false;
        for (const [number, signal] of signals) {
          const stop = () => {
            aborted = true;
            this.post({ type: "abort", signal: number });
            reject(signal.reason); // at once, and the very object
          };
          signal.addEventListener("abort", stop, { signal: over.signal });
        }
        this.waiting.set(call, {
          resolve: (value) => (aborted ? late?.(value) : resolve(value)),
          reject,
          handed: mine,
        });
        this.post({ type: "call", call, id, args: packed.value }, packed.transfer);
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "DataCloneError") {
        throw new WebldmError(`this cannot go to another thread: ${error.message}`);
      }
      throw error;
    } finally {
      over.abort();
      if (!handed) this.release(mine);
    }
  }

  private take(message: Message): void {
    if (message.type === "call") {
      void this.serve(message.call, message.id, message.args);
    } else if (message.type === "abort") {
      this.controllers.get(message.signal)?.abort();
    } else {
      const waiting = this.waiting.get(message.call);
      this.waiting.delete(message.call);
      if (message.type === "answer") waiting?.resolve(this.unpack(message.value));
      else waiting?.reject(this.thrownBy(message, waiting.handed));
    }
  }

  private async serve(call: number, id: number, packed: unknown): Promise<void> {
    const local = this.locals.get(id);
    const signals: number[] = [];
    try {
      invariant(local, "a function was called after the call that it was handed over with");
      const value: unknown = await local.run(...(this.unpack(packed, signals) as never[]));
      const answer = this.pack(value, local.handed);
      this.post({ type: "answer", call, value: answer.value }, answer.transfer);
    } catch (error) {
      this.fail(call, error, local?.handed ?? this.lasting);
    }
    for (const signal of signals) this.controllers.delete(signal);
  }

  private fail(call: number, error: unknown, handed: Handed): void {
    const yours = isObject(error) ? this.caught.get(error) : undefined;
    const thrown = this.number();
    if (handed !== this.lasting) handed.thrown.set(thrown, error);
    try {
      this.post({ type: "failure", call, error: packError(error), thrown, yours });
    } catch {
      this.post({ type: "failure", call, error: packError(new WebldmError(String(error))), thrown, yours });
    }
  }

  private thrownBy({ error, thrown, yours }: Message & { type: "failure" }, handed: Handed): unknown {
    if (yours !== undefined && handed.thrown.has(yours)) return handed.thrown.get(yours);
    const made = unpackError(error);
    if (isObject(made)) this.caught.set(made, thrown);
    return made;
  }

  private pack(value: unknown, handed: Handed, signals?: Map<number, AbortSignal>) {
    const transfer: Transferable[] = [];
    const packed = pack(value, {
      transfer: this.transfers ? transfer : undefined,
      function: (run) => {
        const id = this.number();
        this.locals.set(id, { run, handed });
        handed.functions.add(id);
        return id;
      },
      signal: (signal) => {
        const id = this.number();
        signals?.set(id, signal);
        return id;
      },
    });
    return { value: packed, transfer: [...new Set(transfer)] };
  }

  private unpack(value: unknown, signals: number[] = []): unknown {
    return unpack(value, {
      function: (id) => {
        const remote: Callable = (...args) => this.send(id, args, {});
        this.remotes.set(remote, id);
        return remote;
      },
      signal: (id) => {
        const controller = new AbortController();
        this.controllers.set(id, controller);
        signals.push(id);
        return controller.signal;
      },
    });
  }

  private post(message: Message, transfer: Transferable[] = []): void {
    this.port.postMessage(message, transfer);
  }

  private number(): number {
    this.last += 1;
    return this.last;
  }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
