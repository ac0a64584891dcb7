import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

/** Puts the first load's styles into the page, so that it paints without a second round trip. */
function inlineCss(): Plugin {
  return {
    name: 'inline-css',
    enforce: 'post',
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle }) {
        if (!bundle) return html;
        return html.replace(/\s*<link rel="stylesheet"[^>]*href="\/([^"]+)"[^>]*>/g, (tag, name: string) => {
          const asset = bundle[name];
          if (asset?.type !== 'asset') return tag;
          delete bundle[name];
          return `\n<style>${String(asset.source).trim()}</style>`;
        });
      },
    },
  };
}

/** Writes sw.js with the names of everything built; a change of any byte is a new version. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const version = createHash('sha256');
      const names = Object.keys(bundle).filter((name) => !name.endsWith('.html')).sort();
      for (const output of Object.values(bundle)) {
        version.update(output.type === 'chunk' ? output.code : output.source);
      }
      const icons = readdirSync('public/icons').map((name) => `icons/${name}`);
      const shell = [...names, 'manifest.webmanifest', ...icons].map((name) => `/${name}`);
      const source = readFileSync('src/sw.js', 'utf8')
        .replace('__SHELL__', JSON.stringify(shell))
        .replace('__VERSION__', JSON.stringify(version.digest('hex').slice(0, 12)))
        .replace(/^\s*\/\/.*\n/gm, '')
        .replace(/^\s+/gm, '');
      this.emitFile({ type: 'asset', fileName: 'sw.js', source });
    },
  };
}

/** `npm run dev` and `vite preview` answer the API from fixtures when TUOI_API names no server. */
function mockApi(): Plugin {
  const attach = async (use: (handler: import('./dev/mock.mjs').Handler) => void): Promise<void> => {
    if (process.env.TUOI_API) return;
    const { createMock } = await import('./dev/mock.mjs');
    use(createMock());
  };
  return {
    name: 'mock-api',
    configureServer: (server) => attach((handler) => server.middlewares.use(handler)),
    configurePreviewServer: (server) => attach((handler) => server.middlewares.use(handler)),
  };
}

const proxy = process.env.TUOI_API ? { '/api': process.env.TUOI_API } : {};

export default defineConfig({
  plugins: [svelte(), inlineCss(), serviceWorker(), mockApi()],
  resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
  build: { target: 'es2020', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy },
  preview: { proxy },
  test: { environment: 'jsdom', include: ['tests/**/*.test.ts'], setupFiles: ['tests/setup.ts'] },
} as import('vite').UserConfig);
