import { element } from './dom.js';

const themes = ['system', 'light', 'dark'] as const;
const dark = matchMedia('(prefers-color-scheme: dark)');

/**
 * Light or dark, by the system until the button says otherwise.
 *
 * @param onChange told whether the page is dark, now and whenever that changes
 */
export function watchTheme(onChange: (isDark: boolean) => void): void {
  const button = element<HTMLButtonElement>('theme');
  let theme: (typeof themes)[number] = 'system';
  const apply = () => {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    onChange(theme === 'system' ? dark.matches : theme === 'dark');
  };
  button.addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length]!;
    apply();
  });
  dark.addEventListener('change', apply);
  apply();
}
