// Keeps the page of a round on this device, with its scripts and style, for when there is no network.
// Nothing about a patient passes here: what is sent and taken goes past it.

addEventListener("install", (event) => {
  event.waitUntil(caches.open(own.name).then((cache) => cache.addAll(own.kept)).then(() => skipWaiting()));
});
addEventListener("activate", (event) => {
  const old = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith(own.family) && name !== own.name) await caches.delete(name);
    }
    await clients.claim();
  };
  event.waitUntil(old());
});
addEventListener("fetch", (event) => {
  const path = new URL(event.request.url).pathname;
  if (event.request.method !== "GET" || !own.kept.includes(path)) return;
  const answer = async () => {
    const kept = await (await caches.open(own.name)).match(path);
    if (path !== own.page) return kept || fetch(event.request);
    // The page itself is asked for first: who is signed out is shown the way in. A network that hangs and a
    // server that is ill are as good as none.
    const asked = fetch(event.request);
    const late = new Promise((done) => setTimeout(done, 3000));
    try {
      const fresh = await Promise.race([asked, late]);
      if (fresh && fresh.status < 500) return fresh;
    } catch {
      // No network.
    }
    return kept || asked;
  };
  event.respondWith(answer());
});
