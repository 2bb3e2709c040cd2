/** Milliseconds of asking without a pause: what a GPU does meanwhile is not kept waiting. */
const eager = 2;
/** Milliseconds without a question after which the next one begins anew. */
const silence = 5;

let patient = false;

/**
 * Lets Dawn ask once a millisecond, rather than without a pause, whether work is done. Its binding asks by `setImmediate`
 * as long as a promise is open: that keeps a core busy and makes garbage, and an adapter in software needs the core for the
 * picture. Callbacks that are no native functions are called as ever.
 */
export function pollPatiently(): void {
  if (patient) return;
  patient = true;
  let began = 0;
  let last = 0;
  globalThis.setImmediate = new Proxy(globalThis.setImmediate, {
    apply(immediately, self, args: Parameters<typeof setImmediate>) {
      const [callback] = args;
      if (!isNative(callback)) return Reflect.apply(immediately, self, args);
      const now = performance.now();
      if (now - last > silence) began = now;
      last = now;
      return now - began < eager ? Reflect.apply(immediately, self, args) : setTimeout(callback, 1);
    },
  });
}

const isNative = (callback: unknown): boolean =>
  typeof callback === "function" && Function.prototype.toString.call(callback).endsWith("{ [native code] }");
