import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Live, POLL_MS, WATCHDOG_MS } from '../src/lib/live';
import type { Snapshot } from '../src/lib/types';
import { at, snapshot, zone } from './farm';

/** A stream that the test speaks through. */
class Stream extends EventTarget {
  closed = false;
  onerror: (() => void) | null = null;
  close(): void {
    this.closed = true;
  }
  say(name: string, data: object): void {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) }));
  }
}

function setUp() {
  const seen: string[] = [];
  const streams: Stream[] = [];
  const server = { up: true, asked: 0 };
  const live = new Live(
    {
      fetchSnapshot: async () => {
        server.asked += 1;
        if (!server.up) throw new Error('no network');
        return snapshot([zone('a')]);
      },
      openStream: () => {
        const stream = new Stream();
        streams.push(stream);
        return stream as unknown as EventSource;
      },
    },
    {
      snapshot: (_: Snapshot) => seen.push('snapshot'), delta: () => seen.push('delta'), heard: () => {}, state: (state) => seen.push(state),
    },
  );
  return { live, seen, streams, server };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('the live farm', () => {
  it('takes a snapshot first, then follows the stream', async () => {
    const { live, seen, streams } = setUp();
    live.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen).toEqual(['snapshot', 'polling']);
    streams[0]!.say('snapshot', { at: at(0) });
    streams[0]!.say('delta', { at: at(1) });
    expect(seen.slice(2)).toEqual(['snapshot', 'live', 'delta', 'live']);
  });

  it('gives up a stream that is silent for 40 s, though it says it is open', async () => {
    const { live, streams, server } = setUp();
    live.start();
    await vi.advanceTimersByTimeAsync(0);
    streams[0]!.say('heartbeat', { at: at(0) });
    await vi.advanceTimersByTimeAsync(WATCHDOG_MS - 1000);
    streams[0]!.say('heartbeat', { at: at(39) });
    await vi.advanceTimersByTimeAsync(WATCHDOG_MS - 1);
    expect(streams[0]!.closed).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(streams[0]!.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.asked).toBe(2);
    expect(streams).toHaveLength(2);
  });

  it('polls, no more often than every 15 s in the end, while streams fail at once', async () => {
    const { live, streams, server } = setUp();
    live.start();
    for (let i = 0; i < 6; i += 1) {
      await vi.advanceTimersByTimeAsync(POLL_MS);
      streams.at(-1)!.onerror?.();
    }
    const before = server.asked;
    await vi.advanceTimersByTimeAsync(POLL_MS);
    expect(server.asked).toBe(before + 1);
  });

  it('says offline when the snapshot fails too, and recovers by itself', async () => {
    const { live, seen, server, streams } = setUp();
    server.up = false;
    live.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen.at(-1)).toBe('offline');
    server.up = true;
    await vi.advanceTimersByTimeAsync(1000);
    expect(streams).toHaveLength(1);
    expect(seen.at(-1)).toBe('polling');
  });

  it('is silent once stopped, whatever still arrives', async () => {
    const { live, seen, streams, server } = setUp();
    live.start();
    await vi.advanceTimersByTimeAsync(0);
    live.stop();
    const told = seen.length;
    streams[0]!.say('delta', { at: at(1) });
    streams[0]!.onerror?.();
    await vi.advanceTimersByTimeAsync(10 * POLL_MS);
    expect(seen).toHaveLength(told);
    expect(server.asked).toBe(1);
    expect(streams[0]!.closed).toBe(true);
  });
});
