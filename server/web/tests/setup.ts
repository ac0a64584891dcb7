import { beforeAll } from 'vitest';
import { screenWords } from '../src/lib/words.svelte';

/** Components are tried on their own: the words that a screen waits for in the app are there. */
beforeAll(screenWords);
