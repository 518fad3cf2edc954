/** The page of `mdt status --serve`, its script and its style. */

export const pageHtml = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>mdt: training</title>
<link rel="stylesheet" href="/page.css">
<link rel="icon" href="data:,">
</head>
<body>
<header><h1>Training</h1><output id="state">connecting</output></header>
<main id="runs"></main>
<p id="report" hidden><a href="/runs/0/report" target="_blank" rel="noopener">The report of the test</a></p>
<script src="/page.js"></script>
</body>
</html>
`;

export const pageStyle = `
:root { color-scheme: light; font: 15px/1.45 Lato, "Helvetica Neue", Arial, sans-serif; color: #1f2933; background: #f5f7f9; }
body { max-width: 1180px; margin: 0 auto; padding: 1rem; }
header { display: flex; align-items: baseline; gap: 1rem; }
h1 { font-size: 1.4rem; margin: 0.4rem 0; }
h2 { font-size: 1.1rem; margin: 0 0 0.5rem; }
#state { color: #66737f; }
section { background: #fff; border: 1px solid #e6eaee; border-radius: 8px; padding: 1rem; margin: 1rem 0; }
progress { width: 100%; height: 0.8rem; accent-color: #0072b2; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.4rem 1rem; margin: 0.8rem 0; }
dt { color: #66737f; font-size: 0.85rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
img { max-width: 100%; display: block; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; align-items: start; }
`;

export const pageScript = `
'use strict';
const runs = document.getElementById('runs');
const state = document.getElementById('state');
const report = document.getElementById('report');
const sections = [];

// Everything that comes from the run is text; nothing of it is ever taken for markup.
function make(name, parent, text) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function sectionOf(index) {
  if (sections[index]) return sections[index];
  const root = make('section', runs);
  const title = make('h2', root);
  const bar = make('progress', root);
  const facts = make('dl', root);
  const pictures = make('div', root);
  pictures.className = 'pictures';
  const picture = (name, alt) => {
    const image = make('img', pictures);
    image.alt = alt;
    image.hidden = true;
    image.addEventListener('load', () => { image.hidden = false; });
    return (version) => {
      if (image.dataset.version === version) return;
      image.dataset.version = version;
      image.src = '/runs/' + index + '/' + name;
    };
  };
  const curves = picture('curves', 'losses and validation metrics over the epochs');
  const patches = picture('patches', 'training patches with objects, anchors and detections');
  return (sections[index] = { title, bar, facts, curves, patches });
}

const seconds = (value) => {
  const whole = Math.round(value);
  if (whole < 60) return whole + ' s';
  return whole < 3600 ? Math.floor(whole / 60) + ' min' : Math.floor(whole / 3600) + ' h ' + Math.floor((whole % 3600) / 60) + ' min';
};

function factsOf(run) {
  const facts = { epoch: run.epochs.done + ' of ' + run.epochs.planned };
  const live = run.live;
  if (live && run.running) {
    facts.step = live.step + ' of ' + live.steps;
    for (const [name, value] of Object.entries(live.losses)) facts[name === 'total' ? 'loss' : 'loss: ' + name] = value.toFixed(3);
    facts['images a second'] = live.imagesPerSecond.toFixed(1);
    facts.waiting = Math.round(100 * live.waitShare) + ' %';
    facts.memory = (live.memoryBytes / 2 ** 30).toFixed(1) + ' GiB';
    facts['time left'] = seconds(live.secondsLeft);
  }
  for (const [name, value] of Object.entries((run.last && run.last.metrics) || {})) facts[name] = value.toFixed(3);
  if (run.best) facts.best = 'epoch ' + run.best.epoch + (run.best.score === null ? '' : ', score ' + run.best.score.toFixed(3));
  if (run.test !== null) facts['test AP'] = run.test.toFixed(3);
  return facts;
}

async function refresh() {
  try {
    const status = await (await fetch('/status.json')).json();
    status.runs.forEach((run, index) => {
      const section = sectionOf(index);
      section.title.textContent = [run.name, run.kind, run.running ? 'running' : 'not running'].filter(Boolean).join(', ');
      section.bar.max = run.live ? run.live.steps : 1;
      section.bar.value = run.live ? run.live.step : 0;
      section.facts.replaceChildren();
      for (const [name, value] of Object.entries(factsOf(run))) {
        const item = make('div', section.facts);
        make('dt', item, name);
        make('dd', item, value);
      }
      const version = String(run.epochs.done) + run.running;
      if (run.epochs.done > 0) section.curves(version);
      if (run.patches) section.patches(version);
    });
    report.hidden = !status.report;
    state.textContent = 'as of ' + new Date().toLocaleTimeString();
  } catch {
    state.textContent = 'the server does not answer';
  }
}

refresh();
setInterval(refresh, 2000);
`;
