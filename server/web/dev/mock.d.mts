import type { IncomingMessage, ServerResponse } from 'node:http';

export type Handler = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;
export function createMock(): Handler;
