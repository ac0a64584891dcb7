import { render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import ConditionList from '../src/components/ConditionList.svelte';
import { conditionText, KINDS, newCondition, stepped } from '../src/lib/condition';
import { moreLines } from '../src/lib/program';
import { setLang } from '../src/lib/words.svelte';
import type { Condition, ConditionKind } from '../src/lib/types';

const ALL = Object.keys(KINDS) as ConditionKind[];
const RAIN: Condition = { kind: 'rain-fallen', limit: 5, release: 2, hours: 24, missing: 'ask', max_age_min: 90 };

afterEach(() => setLang('vi'));

describe('a condition', () => {
  it('has one sentence for every kind, in every language', async () => {
    for (const lang of ['vi', 'en', 'fr'] as const) {
      await setLang(lang);
      const said = ALL.map((kind) => conditionText(newCondition(kind)));
      expect(new Set(said).size).toBe(ALL.length);
      for (const text of said) expect(text).not.toMatch(/[{}…]|undefined|cond\./);
    }
    await setLang('en');
    expect(conditionText(RAIN)).toBe('Not if 5 mm of rain or more fell in 24 h. Again from 2 on.');
    expect(moreLines({ conditions: [RAIN] })).toEqual([conditionText(RAIN)]);
    expect(conditionText({ kind: 'moon', limit: 1 } as unknown as Condition)).toContain('moon');
  });

  it('keeps the distance of its release and the bounds of its kind', () => {
    expect(stepped(RAIN, 1)).toEqual({ ...RAIN, limit: 6, release: 3 });
    const most = KINDS['soil-wet'].high;
    expect(stepped({ kind: 'soil-wet', limit: most }, 1)).toEqual({ kind: 'soil-wet', limit: most });
  });
});

describe('the list of conditions', () => {
  it('adds, changes and takes away, and loses nothing that it does not show', async () => {
    await setLang('en');
    const onchange = vi.fn();
    const { rerender } = render(ConditionList, { conditions: [RAIN], onchange });
    const add = screen.getByTestId<HTMLSelectElement>('condition-add');
    expect([...add.options].map((option) => option.value)).not.toContain('rain-fallen');
    add.value = 'frost';
    add.dispatchEvent(new Event('change', { bubbles: true }));
    expect(onchange).toHaveBeenLastCalledWith([RAIN, { kind: 'frost', limit: 2 }]);
    screen.getByLabelText('Higher limit').click();
    expect(onchange).toHaveBeenLastCalledWith([{ ...RAIN, limit: 6, release: 3 }]);
    const missing = screen.getByTestId<HTMLSelectElement>('condition-missing');
    expect(missing.value).toBe('ask');
    missing.value = 'skip';
    missing.dispatchEvent(new Event('change', { bubbles: true }));
    expect(onchange).toHaveBeenLastCalledWith([{ ...RAIN, missing: 'skip' }]);
    screen.getByLabelText('Remove this condition').click();
    expect(onchange).toHaveBeenLastCalledWith([]);
    await rerender({ conditions: [], onchange });
    expect(screen.queryByTestId('condition')).toBeNull();
  });
});
