/**
 * What runs in the page: for each viewer a canvas with one slice, boxes of the ground truth and of detections from the slider's score on, and
 * the segmentation. Plain JavaScript of the browser; it finds its data in a JSON script element beside the canvas.
 */
export const viewerScript = `
for (const root of document.querySelectorAll('.viewer')) {
  const data = JSON.parse(root.querySelector('script').textContent);
  const canvas = root.querySelector('canvas');
  const context = canvas.getContext('2d');
  const find = (name) => root.querySelector('[data-role=' + name + ']');
  const controls = { slice: find('slice'), score: find('score'), truth: find('truth'), found: find('found'), map: find('map') };
  const scale = Math.max(1, Math.min(8, 512 / Math.max(data.width, data.height)));
  canvas.width = Math.round(data.width * scale);
  canvas.height = Math.round(data.height * scale);
  const pictures = new Map();
  const picture = (source) => {
    if (!pictures.has(source)) {
      const image = new Image();
      image.onload = draw;
      image.src = source;
      pictures.set(source, image);
    }
    return pictures.get(source);
  };
  const show = (source) => {
    const image = source && picture(source);
    if (image && image.complete) context.drawImage(image, 0, 0, canvas.width, canvas.height);
  };
  const boxes = (list, color, dashed) => {
    const z = Number(controls.slice.value);
    let shown = 0;
    for (const { box, score, name } of list) {
      const deep = box.length === 6;
      if (deep && !(z + 1 > box[0] && z < box[3])) continue;
      const [y1, x1, y2, x2] = deep ? [box[1], box[2], box[4], box[5]] : box;
      context.lineWidth = 2;
      context.setLineDash(dashed ? [6, 4] : []);
      context.strokeStyle = color;
      context.strokeRect(x1 * scale, y1 * scale, (x2 - x1) * scale, (y2 - y1) * scale);
      // Detections are named above their box, objects below; inside where there is no room.
      const text = dashed ? name : name + ' ' + score.toFixed(2);
      context.font = '12px sans-serif';
      const wide = context.measureText(text).width + 6;
      const left = Math.max(0, Math.min(x1 * scale, canvas.width - wide));
      const top = Math.max(0, Math.min(dashed ? y2 * scale + 2 : y1 * scale - 16, canvas.height - 14));
      context.fillStyle = 'rgba(0, 0, 0, 0.6)';
      context.fillRect(left, top, wide, 14);
      context.fillStyle = color;
      context.fillText(text, left + 3, top + 11);
      shown++;
    }
    return shown;
  };
  function draw() {
    const z = Number(controls.slice.value);
    const least = Number(controls.score.value);
    context.imageSmoothingEnabled = false;
    context.fillRect(0, 0, canvas.width, canvas.height);
    show(data.slices[z]);
    if (controls.map && controls.map.checked) show(data.segmentation[z]);
    const kept = data.detections.filter((one) => one.score >= least);
    const truth = controls.truth.checked ? boxes(data.truth, data.colors.truth, true) : 0;
    const found = controls.found.checked ? boxes(kept, data.colors.found, false) : 0;
    find('state').textContent = 'slice ' + (z + 1) + ' of ' + data.slices.length + ', score from ' + least.toFixed(2) +
      ': ' + kept.length + ' of ' + data.detections.length + ' detections, ' + found + ' here; ' + truth + ' of ' + data.truth.length + ' objects here';
  }
  canvas.addEventListener('wheel', (event) => {
    if (data.slices.length === 1 || event.ctrlKey) return;
    event.preventDefault();
    controls.slice.value = Number(controls.slice.value) + Math.sign(event.deltaY);
    draw();
  }, { passive: false });
  for (const control of Object.values(controls)) if (control) control.addEventListener('input', draw);
  draw();
}
`;
