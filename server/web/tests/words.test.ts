import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { screenWords, setLang, t, tCode } from '../src/lib/words.svelte';
import enFirst from '../src/words/en.json';
import enScreens from '../src/words/en.screens.json';
import frFirst from '../src/words/fr.json';
import frScreens from '../src/words/fr.screens.json';
import viFirst from '../src/words/vi.json';
import viScreens from '../src/words/vi.screens.json';

const FIRST: Record<string, Record<string, string>> = { vi: viFirst, en: enFirst, fr: frFirst };
const SCREENS: Record<string, Record<string, string>> = { vi: viScreens, en: enScreens, fr: frScreens };
const vi: Record<string, string> = { ...viFirst, ...viScreens };
const TABLES: Record<string, Record<string, string>> = { vi, en: { ...enFirst, ...enScreens }, fr: { ...frFirst, ...frScreens } };
const names = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!))].sort();

afterEach(() => setLang('vi'));

describe('the words', () => {
  it('have the same keys in the same order in every language, each in one file', () => {
    for (const table of Object.values(FIRST)) expect(Object.keys(table)).toEqual(Object.keys(viFirst));
    for (const table of Object.values(SCREENS)) expect(Object.keys(table)).toEqual(Object.keys(viScreens));
    expect(Object.keys(viFirst).filter((key) => key in viScreens)).toEqual([]);
  });

  it('stand with the first load exactly where the first load says them', () => {
    const seen = new Map<string, string>();
    const walk = (path: string): void => {
      const file = [path, `${path}.ts`].find((one) => existsSync(one) && /\.(ts|svelte)$/.test(one));
      if (!file || seen.has(file)) return;
      const text = readFileSync(file, 'utf8');
      seen.set(file, text);
      for (const [, from] of text.matchAll(/^\s*import (?!type)[^;]*?from '(\.[^']+)'/gm)) walk(join(dirname(file), from!));
    };
    walk('src/main.ts');
    const source = [...seen.values()].join('\n');
    expect(seen.size).toBeGreaterThan(20);
    const families = [...source.matchAll(/`([a-z_]+(?:\.[a-z]+_)?)\.?\$\{|tCode\('(\w+)'/g)].map((match) => match[1] ?? match[2]!);
    const said = Object.keys(vi).filter((key) => source.includes(`'${key}'`) || families.some((family) => key.startsWith(family)));
    expect(said.filter((key) => !(key in viFirst))).toEqual([]);
    expect(Object.keys(viFirst).filter((key) => !said.includes(key))).toEqual([]);
  });

  it('are never empty, and name the same numbers in every language', () => {
    for (const key of Object.keys(vi)) {
      for (const table of Object.values(TABLES)) expect(table[key], key).toBeTruthy();
      const wanted = names(TABLES.vi![key]!);
      // A singular may do without its number.
      for (const table of Object.values(TABLES)) expect(wanted, key).toEqual(expect.arrayContaining(names(table[key]!)));
      for (const table of Object.values(TABLES)) if (!table[key]!.includes('|')) expect(names(table[key]!), key).toEqual(wanted);
    }
  });

  it('are all used: a key that no source names is gone', () => {
    const walk = (dir: string): string[] => readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? walk(`${dir}/${entry.name}`) : /\.(ts|svelte)$/.test(entry.name) ? [readFileSync(`${dir}/${entry.name}`, 'utf8')] : []);
    const source = walk('src').join('\n');
    const families = [...source.matchAll(/`([a-z_]+(?:\.[a-z]+_)?)\.?\$\{/g)].map((match) => match[1]!);
    const coded = ['reason', 'alert', 'probe', 'cond', ...families];
    const unused = Object.keys(vi).filter((key) => !source.includes(`'${key}'`) && !coded.some((family) => key.startsWith(family)));
    expect(unused).toEqual([]);
  });

  it('of the screens are there in every language once they were asked for', async () => {
    await screenWords();
    expect(t('sheet.title')).toBe('Tưới ngay');
    await setLang('en');
    expect(t('sheet.title')).toBe('Water now');
  });

  it('choose the singular by the language’s own rule', async () => {
    await setLang('en');
    expect(t('time.seconds', { n: 1 })).toBe('1 second');
    expect(t('time.seconds', { n: 0 })).toBe('0 seconds');
    await setLang('fr');
    expect(t('time.seconds', { n: 0 })).toBe('0 seconde');
    expect(t('time.seconds', { n: 2 })).toBe('2 secondes');
  });

  it('say something for a code that this app does not know yet', () => {
    expect(tCode('reason', 'source-busy', {}, 'reason.other')).toBe('Nguồn nước đang cấp cho khu khác');
    expect(tCode('reason', 'brand-new', {}, 'reason.other')).toContain('brand-new');
  });

  it('set the language of the page', async () => {
    await setLang('fr');
    expect(document.documentElement.lang).toBe('fr');
  });
});
