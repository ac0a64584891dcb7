/** Prints what the first load weighs in gzip, and fails above the budget: the page and all that it asks for at once. */
import { readFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT_KB = 60;
const html = readFileSync('dist/index.html', 'utf8');
const first = ['index.html', ...[...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1])];
const kb = (name) => gzipSync(readFileSync(`dist/${name}`), { level: 9 }).length / 1000;

let total = 0;
for (const name of first) {
  total += kb(name);
  console.log(`${kb(name).toFixed(1).padStart(7)} kB  ${name}`);
}
const lazy = readdirSync('dist/assets').map((name) => `assets/${name}`).filter((name) => !first.includes(name));
for (const name of lazy) console.log(`(${kb(name).toFixed(1).padStart(5)} kB  ${name}, when needed)`);
console.log(`${total.toFixed(1).padStart(7)} kB  first load, gzip; limit ${LIMIT_KB} kB`);
if (total > LIMIT_KB) process.exit(1);
