/** Runs a task while no other page of this origin runs one of the same name, where browsers can see to that. */
export async function alone<T>(name: string, signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  return locks ? await locks.request(name, signal ? { signal } : {}, task) : task();
}
