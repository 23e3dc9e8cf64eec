"""False alarms of the shortcut audit, counted on clean runs: drawn pictures turned at random, so that nothing tells the turn.

    python benchmarks/false_alarms.py [RUNS] [PHOTOS]

Any leak or warning counts as an alarm. The intervals are made so that at most 5 % of clean runs raise one.
"""
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from fastai.vision.augment import Resize
from selfsup.checks.audit import audit_shortcuts
from selfsup.data.drawn import draw_picture
from selfsup.data.shapes import UPRIGHT
from selfsup.pretext.rotation import RotationDataLoaders

ANGLES = (0, 90, 180, 270), (0, 180), (0, 90, 180)

def draw(folder, n, rng):
    "Draw `n` pictures, each turned at random, in three shapes"
    for i in range(n):
        im = draw_picture(UPRIGHT[i % len(UPRIGHT)], rng, size=32).rotate(90*int(rng.integers(4)))
        im.resize(((32, 24), (24, 32), (28, 28))[i % 3]).save(folder/f'{i:04}.png')
    return sorted(folder.glob('*.png'))

def main(runs=100, photos=150):
    runs, photos, start = int(runs), int(photos), time.time()
    alarms, alarmed = Counter(), 0
    for run in range(runs):
        with tempfile.TemporaryDirectory() as tmp:
            files = draw(Path(tmp), photos + 1, np.random.default_rng(run))
            dls = RotationDataLoaders.from_lists(tmp, files[1:], files[:1], ANGLES[run % 3], item_tfms=Resize(24),
                                                 bs=50, num_workers=0)
            res = audit_shortcuts(dls, n_empty=100, seed=run)
        found = res.leaks + res.warnings
        alarms.update((r['pictures'], r['sees']) for r in found)
        alarmed += bool(found)
        if found: print(f'run {run}:', *res.sentences(), sep='\n  ')
    print(f'{alarmed} of {runs} clean runs of {photos} pictures raised an alarm ({alarmed/runs:.0%}); '
          f'by check: {dict(alarms)}; {time.time() - start:.0f} s')

if __name__ == '__main__': main(*sys.argv[1:])
