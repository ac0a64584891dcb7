import type { Lang } from './types';

const VOICES: Record<Lang, string> = { vi: 'vi-VN', en: 'en-GB', fr: 'fr-FR' };

export const canSpeak = (): boolean => typeof speechSynthesis !== 'undefined';

/** Reads `text`, or stops what is being read when it is called again; `onend` when it falls silent. */
export function speak(text: string, lang: Lang, onend: () => void = () => {}): void {
  speechSynthesis.cancel();
  const voice = new SpeechSynthesisUtterance(text);
  voice.lang = VOICES[lang];
  voice.rate = 0.95;
  voice.onend = voice.onerror = onend;
  speechSynthesis.speak(voice);
}
