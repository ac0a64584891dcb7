import { call } from './api';
import type { Farm } from './farm.svelte';
import { clock, moment } from './time';
import { sameDay, type Rotas, type Turn } from './turns';
import type { Zone } from './types';
import { lang, t } from './words.svelte';

/**
 * Whose turn it is where these zones take their water, if it is another household's: until when, and on whose account
 * their water counts. A person's order is not bound by turns, so this is told and forbids nothing.
 */
export async function othersTurns(farm: Farm, zones: Zone[]): Promise<string[]> {
  if (farm.offline) return [];
  const { rotas, households } = await call<Rotas>(`/farms/${farm.farmId}/rotas`, { lang: lang() });
  const name = (id: string): string => households.find((one) => one.id === id)?.name ?? id;
  const shared = [...new Set(zones.map((zone) => zone.source_id))].filter((id) => rotas.some((rota) => rota.source_id === id));
  const found = await Promise.all(shared.map(async (sourceId) => {
    const { turns } = await call<{ turns: Turn[] }>(`/farms/${farm.farmId}/sources/${sourceId}/turns?days=2`, { lang: lang() });
    const turn = turns.find((one) => one.now);
    if (!turn) return [];
    const own = zones.filter((zone) => zone.source_id === sourceId).map((zone) => households.find((one) => one.zones.includes(zone.id))?.id ?? null);
    return [...new Set(own)].filter((id) => id !== turn.household_id).map((id) => `${whose(farm, turn, name(turn.household_id))} ${id ? t('turn.counts', { own: name(id) }) : t('turn.counts_nobody')}`);
  }));
  return found.flat();
}

function whose(farm: Farm, turn: Turn, who: string): string {
  if (!turn.end) return t('turn.other_open', { who });
  const end = Date.parse(turn.end);
  const until = sameDay(new Date(farm.now).toISOString(), turn.end, farm.tz) ? clock(end, farm.tz) : moment(end, farm.now, farm.tz);
  return t('turn.other', { who, until });
}
