// Keeps the page itself, so that it opens without the network; models are kept by the engine. Files are asked for first, so
// that a new version is seen at once, and come from here where there is no answer.

/** The part of ServiceWorkerGlobalScope that is used: the compiler's library for it excludes that of pages. */
interface Scope {
  readonly location: Location;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  addEventListener(type: "install" | "activate", listener: (event: Lasting) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
}

interface Lasting {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetching extends Lasting {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

const scope = globalThis as unknown as Scope;
const root = new URL("./", scope.location.href).href;
const name = `webldm-${root}-${PAGE_VERSION}`;
const files = new Set(PAGE_FILES.map((file) => new URL(file, root).href));

scope.addEventListener("install", (event) => {
  event.waitUntil(keep().then(() => scope.skipWaiting()));
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(dropOthers().then(() => scope.clients.claim()));
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = new URL(request.url);
  address.search = "";
  address.hash = "";
  if (address.href === `${root}index.html`) address.href = root;
  if (request.method === "GET" && files.has(address.href)) event.respondWith(answer(request, address.href));
});

async function keep(): Promise<void> {
  const cache = await caches.open(name);
  await cache.addAll(Array.from(files, (file) => new Request(file, { cache: "reload" })));
}

/** Earlier versions of this page; those of a page at another path of the host are its own. */
async function dropOthers(): Promise<void> {
  for (const other of await caches.keys()) {
    if (!other.startsWith("webldm-") || other === name) continue;
    if (await caches.match(root, { cacheName: other })) await caches.delete(other);
  }
}

async function answer(request: Request, address: string): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.match(address, { cacheName: name });
    if (kept) return kept;
    throw error;
  }
}

export {};
