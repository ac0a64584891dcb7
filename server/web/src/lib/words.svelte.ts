import { untrack } from 'svelte';
import type screens from '../words/vi.screens.json';
import vi from '../words/vi.json';
import type { Lang, Params } from './types';

/**
 * Two JSON per language, the same keys in each: what the first load says, and what the screens say that come later.
 * "a day|{n} days" has a singular and a plural, chosen by `n`. Vietnamese comes with the app; the others when asked for.
 */

export type Key = keyof typeof vi | keyof typeof screens;
export const LANGS: Lang[] = ['vi', 'en', 'fr'];

type Table = Record<string, string>;
type Fetch = () => Promise<{ default: Table }>;
const TABLES: Record<Lang, Table> = { vi: { ...vi }, en: {}, fr: {} };
const FIRST: Partial<Record<Lang, Fetch>> = { en: () => import('../words/en.json'), fr: () => import('../words/fr.json') };
const SCREENS: Record<Lang, Fetch> = {
  vi: () => import('../words/vi.screens.json'), en: () => import('../words/en.screens.json'), fr: () => import('../words/fr.screens.json'),
};
const here = new Set<Fetch | undefined>([undefined]);
let whole = false;
let current = $state<Lang>('vi');

export const lang = (): Lang => current;

async function bring(next: Lang): Promise<void> {
  const wanted = [FIRST[next], whole ? SCREENS[next] : undefined].filter((one) => !here.has(one));
  await Promise.all(wanted.map(async (one) => {
    Object.assign(TABLES[next], (await one!()).default);
    here.add(one);
  }));
}

/** Has the words of the screens from now on, in whatever language; fails when they cannot be had. */
export async function screenWords(): Promise<void> {
  whole = true;
  await bring(untrack(lang));
}

/** Speaks `next` once its words are here; stays as it is when they cannot be had. */
export async function setLang(next: Lang): Promise<void> {
  try {
    await bring(next);
  } catch {
    return;
  }
  current = next;
  if (typeof document !== 'undefined') document.documentElement.lang = next;
}

export const has = (key: string): key is Key => key in words();

export function t(key: Key, params: Params = {}): string {
  const forms = (words()[key] ?? key).split('|');
  const one = current === 'fr' ? Number(params.n) < 2 : Number(params.n) === 1;
  const text = (forms.length > 1 && !one ? forms[1] : forms[0]) ?? '';
  return text.replace(/\{(\w+)\}/g, (_, name: string) => show(params[name]));
}

/** The words for a code of the server's, or `otherwise` when this app is older than the code. */
export const tCode = (family: string, code: string, params: Params, otherwise: Key): string =>
  has(`${family}.${code}`) ? t(`${family}.${code}` as Key, params) : t(otherwise, { ...params, code });

const words = (): Table => TABLES[current];

const show = (value: unknown): string =>
  typeof value === 'number' ? new Intl.NumberFormat(current, { maximumFractionDigits: 1 }).format(value) : String(value ?? '…');
