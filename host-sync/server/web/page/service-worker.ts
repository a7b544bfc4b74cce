/**
 * Keeps the page's own files for when there is no network. Must not keep an answer of the host: the page keeps what it saw.
 */
const worker = self as unknown as ServiceWorkerGlobalScope;
const cacheName = 'page';
const files = ['/', '/app.js', '/style.css', '/manifest.webmanifest', '/icon.svg'];

worker.addEventListener('install', (event) => {
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(files)));
  void worker.skipWaiting();
});
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener('fetch', (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== 'GET' || origin !== worker.location.origin || !files.includes(pathname)) return;
  // The network first, so that a new page is there at once; a copy where there is none.
  event.respondWith(
    fetch(event.request)
      .then((response) => {
        if (!response.ok) return response;
        const copy = response.clone();
        event.waitUntil(caches.open(cacheName).then((cache) => cache.put(pathname, copy)));
        return response;
      })
      .catch(async () => (await caches.match(pathname)) ?? Response.error()),
  );
});
