// Opens the app without a network: a service worker keeps the app's own files.

// Call once all files have been loaded: those of the first visit were fetched before the service
// worker was there, and pass through it now. They come from the browser's own cache.
export async function keepForOffline(): Promise<void> {
  const { serviceWorker } = navigator;
  if (!serviceWorker || serviceWorker.controller) return; // not at http:// beside localhost
  const controlled = new Promise((resolve) => {
    serviceWorker.addEventListener("controllerchange", resolve, { once: true });
  });
  await serviceWorker.register("service_worker.js");
  await controlled;
  const own = new URL(".", location.href).href;
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const files = new Set([location.href, ...loaded].filter((url) => url.startsWith(own)));
  await Promise.all([...files].map((url) => fetch(url)));
  document.documentElement.classList.add("offline-ready");
}
