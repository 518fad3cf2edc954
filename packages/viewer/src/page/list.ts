import { classColor } from './colors.js';
import { element } from './dom.js';
import { type Finding, sidesText } from './findings.js';

const list = element('list');

/** Items of the list: nobody reads further, and a browser takes long over thousands. */
const mostItems = 500;

/** Shows the findings as a list of buttons. */
export function showList(
  findings: readonly Finding[],
  {
    classes,
    inMillimetres,
    selected,
    onSelect,
  }: {
    classes: readonly string[];
    inMillimetres: boolean;
    selected: number | undefined;
    onSelect: (finding: Finding) => void;
  },
): void {
  const rest = findings.length - mostItems;
  list.replaceChildren(
    ...findings.slice(0, mostItems).map((finding) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.index = String(finding.index);
      button.append(
        swatch(classColor(finding.label)),
        text('kind', classes[finding.label] ?? `class ${finding.label}`),
        text('score', finding.score.toFixed(3)),
        text('sides', sidesText(finding, { inMillimetres })),
      );
      button.addEventListener('click', () => onSelect(finding));
      item.append(button);
      return item;
    }),
    ...(rest > 0 ? [note(`and ${rest} more: raise the score`)] : []),
  );
  markSelected(selected);
}

function note(content: string): HTMLElement {
  const item = document.createElement('li');
  item.className = 'hint';
  item.textContent = content;
  return item;
}

/** Marks the chosen finding, and brings it into sight. */
export function markSelected(index: number | undefined): void {
  for (const button of list.querySelectorAll('button')) {
    const chosen = button.dataset.index === String(index);
    if (chosen) {
      button.setAttribute('aria-current', 'true');
      button.scrollIntoView({ block: 'nearest' });
    } else button.removeAttribute('aria-current');
  }
}

function text(className: string, content: string): HTMLElement {
  const span = document.createElement('span');
  span.className = className;
  span.textContent = content;
  return span;
}

function swatch(color: string): SVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 1 1');
  svg.setAttribute('aria-hidden', 'true');
  const square = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  square.setAttribute('width', '1');
  square.setAttribute('height', '1');
  square.setAttribute('fill', color);
  svg.append(square);
  return svg;
}
