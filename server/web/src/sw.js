// The shell works without a network; data never comes from here. SHELL and VERSION are written by the build.
const SHELL = __SHELL__, CACHE = 'tuoi-' + __VERSION__;

self.addEventListener('install', e => e.waitUntil((async () => {
  const cache = await caches.open(CACHE);
  await cache.addAll(SHELL);
  // Kept without the state of whoever was signed in.
  const html = await (await fetch('/', { cache: 'reload' })).text();
  await cache.put('/', new Response(html.replace(/<script type="application\/json".*?<\/script>/s, ''),
    { headers: { 'content-type': 'text/html; charset=utf-8' } }));
})()));
self.addEventListener('activate', e => e.waitUntil(caches.keys().then(keys =>
  Promise.all(keys.map(k => k === CACHE || caches.delete(k))))));
self.addEventListener('message', e => e.data === 'go' && self.skipWaiting());
self.addEventListener('fetch', e => {
  const { pathname } = new URL(e.request.url), page = pathname === '/';
  if (e.request.method !== 'GET' || !(page || SHELL.includes(pathname))) return;
  const kept = () => caches.match(pathname, { ignoreVary: true });
  e.respondWith(page ? fetch(e.request).catch(kept) : kept().then(r => r || fetch(e.request)));
});
