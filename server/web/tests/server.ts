import { cleanup } from '@testing-library/svelte';
import { afterEach, beforeEach, vi } from 'vitest';
import { Farm } from '../src/lib/farm.svelte';
import type { Me, Run, Zone } from '../src/lib/types';
import { NOW, snapshot, zone } from './farm';

/** A server that hears every call of the app and answers what the test says. */
export interface Sent { path: string; method: string; key: string | null; body: unknown }

export const json = (status: number, body: unknown): Response =>
  new Response(status === 204 ? null : JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });

export interface FakeServer { sent: Sent[]; answer: (sent: Sent) => Promise<Response>; changes: () => Sent[] }

/** Fresh for each test of the file. */
export function fakeServer(): FakeServer {
  const server: FakeServer = { sent: [], answer: async () => json(404, {}), changes: () => server.sent.filter((one) => one.method !== 'GET') };
  beforeEach(() => {
    server.sent = [];
    vi.stubGlobal('fetch', (path: string, init: RequestInit) => {
      const one = { path: path.replace('/api/v1', ''), method: init.method ?? 'GET', key: new Headers(init.headers).get('Idempotency-Key'), body: init.body ? JSON.parse(String(init.body)) : null };
      server.sent.push(one);
      return new Promise((resolve, reject) => {
        init.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
        server.answer(one).then(resolve, reject);
      });
    });
  });
  afterEach(() => {
    cleanup();
    vi.useRealTimers();
    vi.unstubAllGlobals();
    localStorage.clear();
  });
  return server;
}

export function farmOf(zones: Zone[] = [zone('a', { name: 'Dâu tây' })], runs: Run[] = [], role: Me['role'] = 'farmer'): Farm {
  const farm = new Farm();
  farm.me = { name: 'mai', display_name: 'Mai', role, language: 'vi', farms: [{ id: 'mai', name: 'Vườn' }] };
  farm.now = NOW;
  farm.snapshot = snapshot(zones, runs);
  farm.connection = 'live';
  return farm;
}
