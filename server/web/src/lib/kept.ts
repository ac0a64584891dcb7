import type { Lang, Me, Snapshot } from './types';

/** What the phone remembers: who signed in, the last snapshot and a few choices. Never an order. */
interface Kept {
  me: Me;
  snapshot: Snapshot;
  lang: Lang;
  farm: string;
  aloud: boolean;
  dismissed: string[];
}

export function read<K extends keyof Kept>(name: K): Kept[K] | null {
  try {
    return JSON.parse(localStorage.getItem(`tuoi.${name}`) ?? 'null') as Kept[K] | null;
  } catch {
    return null;
  }
}

export function keep<K extends keyof Kept>(name: K, value: Kept[K]): void {
  try {
    localStorage.setItem(`tuoi.${name}`, JSON.stringify(value));
  } catch {
    // A full or forbidden store only costs the offline view.
  }
}

export function forget(): void {
  for (const name of ['me', 'snapshot', 'farm', 'dismissed']) localStorage.removeItem(`tuoi.${name}`);
}
