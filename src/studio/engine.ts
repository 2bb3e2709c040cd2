import { type Connection, connect } from "./connection.js";
import type { Studio } from "./protocol.js";
import { adapter, drawing, forming, loading, model, technical, trouble, unsupported } from "./state.js";
import { missingGpu, troubleOf } from "./trouble.js";

let connection: Connection | undefined;

/** The worker. @throws where there is none: the page then says why */
export function studio(): Studio {
  if (!connection) throw new Error("The engine is not running.");
  return connection.studio;
}

/** Starts the worker with the engine, in place of one that is there. Tells whether there is WebGPU. */
export async function startEngine(): Promise<boolean> {
  connection?.end();
  connection = undefined;
  model.value = undefined;
  drawing.value = undefined;
  forming.value = undefined;
  loading.value = undefined;
  technical.kernels.value = [];
  if (!("gpu" in navigator)) {
    unsupported.value = missingGpu();
    return false;
  }
  try {
    const own = await connect();
    connection = own;
    adapter.value = own.studio.adapter;
    own.studio.lost().then(
      (reason) => {
        if (connection === own) trouble.value = troubleOf(new Error(`the device was lost (${reason})`), "drawing");
      },
      () => undefined, // the worker ended first
    );
    return true;
  } catch (error) {
    unsupported.value = missingGpu(error);
    return false;
  }
}
