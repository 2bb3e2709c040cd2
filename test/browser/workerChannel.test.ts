// The channel by itself: Node has the same message ports.
import { afterEach, expect, it, vi } from "vitest";
import { UnsupportedError, WebldmError } from "../../src/index.js";
import { Channel, Handed } from "../../src/worker/channel.js";
import type { Callable } from "../../src/worker/pack.js";

const open: Channel[] = [];
afterEach(() => {
  for (const channel of open.splice(0)) channel.close(new Error("over"));
});

/** The near end of a channel whose far end runs a function, and hands over what it is given. */
function channelTo(far: Callable): Channel {
  const { port1, port2 } = new MessageChannel();
  const near = new Channel(port1, false);
  open.push(near, new Channel(port2, true, far));
  return near;
}

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no error",
    (error) => error,
  );

it("brings values over as structured clones, and memory no larger than is meant", async () => {
  const sent = { list: [1, { a: "b" }], map: new Map([[1, 2]]), part: new Uint8Array([1, 2, 3, 4]).subarray(1, 3) };
  const echo = channelTo((value: unknown) => value);
  const got = (await echo.start(sent)) as typeof sent;
  expect(got).toEqual(sent);
  expect(got.part.buffer.byteLength).toBe(2);
  expect(sent.part.buffer.byteLength).toBe(4); // copied, not taken
  expect(await echo.start(new URL("https://a.b/c"))).toBe("https://a.b/c");
});

it("hands results over without a copy", async () => {
  const values = new Float32Array(8);
  expect(await channelTo(() => ({ values })).start()).toEqual({ values: new Float32Array(8) });
  expect(values.buffer.byteLength).toBe(0);
});

it("calls functions across, those of arguments until the answer", async () => {
  const kept: { call?: (x: number) => Promise<number> } = {};
  const channel = channelTo(async ({ twice }: { twice: (x: number) => Promise<number> }) => {
    kept.call = twice;
    return { sum: (await twice(2)) + (await twice(3)), twice: (x: number) => 2 * x };
  });
  const result = (await channel.start({ twice: (x: number) => 2 * x })) as { sum: number; twice: typeof kept.call };
  expect(result.sum).toBe(10);
  expect(await result.twice?.(4)).toBe(8);
  expect(String(await caught(kept.call!(1)))).toContain("after the call that it was handed over with");
});

it("keeps no function of a call that was aborted before it was made", async () => {
  const channel = channelTo(() => "an answer");
  const held = () => (Reflect.get(channel, "locals") as ReadonlyMap<number, unknown>).size;
  const before = held();
  const aborted = channel.start({ onStep: () => undefined, signal: AbortSignal.abort(new Error("early")) });
  expect(String(await caught(aborted))).toBe("Error: early");
  expect(held()).toBe(before);
});

it("keeps functions of arguments until they are released, where asked", async () => {
  const channel = channelTo(() => (run: (x: number) => Promise<number>) => () => run(1));
  const keep = (await channel.start()) as Callable;
  const handed = new Handed();
  const again = (await channel.call(keep, [(x: number) => x + 1], { handed })) as () => Promise<number>;
  expect(await again()).toBe(2);
  channel.release(handed);
  expect(await caught(again())).toBeInstanceOf(WebldmError);
});

it("rebuilds errors in their class with their fields, and returns those of the caller's functions themselves", async () => {
  const run = channelTo((work: () => unknown) => work());
  const failing = channelTo((name: string) => {
    if (name === "ours") throw Object.assign(new UnsupportedError("not yet"), { file: "a.bin" });
    if (name === "value") throw () => "no clone of a function";
    throw new RangeError("far");
  });
  const ours = (await caught(failing.start("ours"))) as UnsupportedError;
  expect(ours).toBeInstanceOf(UnsupportedError);
  expect(ours).toMatchObject({ name: "UnsupportedError", message: "not yet", file: "a.bin" });
  expect(ours.stack).toContain("workerChannel.test");
  expect(await caught(failing.start("range"))).toBeInstanceOf(RangeError);
  expect(await caught(failing.start("value"))).toBeInstanceOf(WebldmError);
  const own = new (class Own extends Error {})("mine");
  const thrower = () => {
    throw own;
  };
  expect(await caught(run.start(thrower))).toBe(own);
  expect(await caught(run.start(Symbol("s")))).toMatchObject({ message: expect.stringContaining("another thread") });
});

it("aborts on both sides, and lets go of an answer that comes too late", async () => {
  const far = vi.fn();
  const work = channelTo(() => async (signal: AbortSignal, obeys: boolean) => {
    await new Promise<void>((done) => signal.addEventListener("abort", () => done()));
    far(signal.aborted);
    if (obeys) signal.throwIfAborted();
    return "late";
  });
  const remote = (await work.start()) as Callable;
  for (const obeys of [true, false]) {
    const controller = new AbortController();
    const late = vi.fn();
    const promise = caught(work.call(remote, [controller.signal, obeys], { late }));
    controller.abort("enough");
    expect(await promise).toBe("enough");
    await expect.poll(() => far).toHaveBeenCalledTimes(obeys ? 1 : 2);
    if (!obeys) await expect.poll(() => late).toHaveBeenCalledWith("late");
    else expect(late).not.toHaveBeenCalled();
  }
  expect(await caught(work.call(remote, [AbortSignal.abort("before"), true]))).toBe("before");
});

it("refuses what is under way when it is closed, and what comes after", async () => {
  const channel = channelTo(() => new Promise(() => undefined));
  const running = caught(channel.start());
  const error = new WebldmError("the engine was disposed");
  channel.close(error);
  expect(await running).toBe(error);
  expect(await caught(channel.start())).toBe(error);
});
