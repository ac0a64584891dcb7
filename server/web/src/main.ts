import { mount } from 'svelte';
import './app.css';
import App from './App.svelte';
import type { Me, Snapshot } from './lib/types';

/** The server may put `{"me", "snapshot"}` into the page, so that the first paint needs no second question. */
function injected(): { me?: Me; snapshot?: Snapshot } | null {
  try {
    return JSON.parse(document.getElementById('state')?.textContent ?? 'null');
  } catch {
    return null;
  }
}

mount(App, { target: document.getElementById('app')!, props: { injected: injected() } });
