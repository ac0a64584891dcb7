/** The service worker, and the newer app that may be waiting. The person decides when it takes over. */
let waiting = $state.raw<ServiceWorker | null>(null);

export const updateWaiting = (): boolean => waiting !== null;

export function applyUpdate(): void {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload());
  waiting?.postMessage('go');
}

/** Without a worker (private windows, old browsers) the app still works, only not without a network. */
export async function registerWorker(): Promise<void> {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  try {
    const registration = await navigator.serviceWorker.register('/sw.js');
    watch(registration.waiting);
    registration.addEventListener('updatefound', () => watch(registration.installing));
  } catch {
    // Said above.
  }
}

function watch(worker: ServiceWorker | null): void {
  const check = (): void => {
    if (worker?.state === 'installed' && navigator.serviceWorker.controller) waiting = worker;
  };
  worker?.addEventListener('statechange', check);
  check();
}
