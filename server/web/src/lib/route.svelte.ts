/** The address after `#`: "/", "/zone/dau-tay", "/programs/new". */
let current = $state(read());

function read(): string {
  return typeof location === 'undefined' ? '/' : location.hash.slice(1) || '/';
}

if (typeof window !== 'undefined') {
  window.addEventListener('hashchange', () => {
    current = read();
    window.scrollTo(0, 0);
  });
}

export const path = (): string => current;
export const go = (to: string): void => {
  location.hash = to;
};
