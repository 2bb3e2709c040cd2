import { Channel } from "../worker/channel.js";
import type { Studio } from "./protocol.js";

/** The worker, as long as it lives. */
export interface Connection {
  readonly studio: Studio;
  /** Ends it, with everything on the graphics card. */
  end(): void;
}

/** Starts the worker, and the engine in it. @throws where the browser gives no adapter */
export async function connect(): Promise<Connection> {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const { port1, port2 } = new MessageChannel();
  const channel = new Channel(port1, false);
  const end = () => {
    channel.close(new Error("the worker ended"));
    worker.terminate();
  };
  worker.addEventListener("error", ({ message }) => {
    channel.close(new Error(`the worker did not start: ${message || "its script could not be loaded"}`));
  });
  worker.postMessage({ studio: port2 }, [port2]);
  try {
    return { studio: (await channel.start(document.baseURI)) as Studio, end };
  } catch (error) {
    end();
    throw error;
  }
}
