import vi from '../words/vi.json';
import type { Lang, Params } from './types';

/**
 * One JSON per language, the same keys in each. "a day|{n} days" has a singular and a plural, chosen by `n`.
 * Vietnamese comes with the app; the others when they are asked for.
 */

export type Key = keyof typeof vi;
export const LANGS: Lang[] = ['vi', 'en', 'fr'];

const WORDS: Partial<Record<Lang, Record<string, string>>> = { vi };
const FETCH = { en: () => import('../words/en.json'), fr: () => import('../words/fr.json') };
let current = $state<Lang>('vi');

export const lang = (): Lang => current;

/** Speaks `next` once its words are here; stays as it is when they cannot be had. */
export async function setLang(next: Lang): Promise<void> {
  if (next !== 'vi' && !WORDS[next]) {
    try {
      WORDS[next] = (await FETCH[next]()).default;
    } catch {
      return;
    }
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

const words = (): Record<string, string> => WORDS[current] ?? vi;

const show = (value: unknown): string =>
  typeof value === 'number' ? new Intl.NumberFormat(current, { maximumFractionDigits: 1 }).format(value) : String(value ?? '…');
