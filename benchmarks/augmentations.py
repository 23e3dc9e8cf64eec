"""What an augmentation of the pretraining does for the turn and for the class, on drawn pictures.

    python benchmarks/augmentations.py [PICTURES] [PASSES] [FILE.csv]       writes benchmarks/augmentations.csv

PICTURES training pictures of each of five classes (default 120) pretrain the small encoder by rotation in PASSES passes
(default 8), three seeds each. A row is one training: its rotation accuracy on 150 validation pictures, and the share of
them whose class the vote of 20 neighbours gets right, of 20 labels a class, by frozen features of the last stage.
"""
import csv
import sys
import tempfile
import time
from pathlib import Path

from fastai.vision.all import aug_transforms, noop
from machine import machine
from selfsup.all import CropFlip, OpenSquare, Rotation, WatchFeatures, draw_world, read_photos, rotation_history
from selfsup.data.augmentation import augmentation
from selfsup.pretext.loaders import pretext_dls
from selfsup.pretext.pretrain import train_pretext

LIGHT = dict(do_flip=False, max_rotate=0, max_zoom=1, max_warp=0, max_lighting=.2)
ARMS = {
    'mirror image, tilt, zoom, light': augmentation,
    'mirror image, tilt, zoom': lambda: augmentation(max_lighting=0),
    'mirror image': lambda: [CropFlip(share=0)],
    'mirror image, light': lambda: [CropFlip(share=0), *aug_transforms(**LIGHT)],
    'mirror image, crop': lambda: [CropFlip()],
    'mirror image, crop, light': lambda: [CropFlip(), *aug_transforms(**LIGHT)],
}

def train(photos, augment, passes, seed):
    "Rotation accuracy, score, and CPU seconds of one training"
    class Augmented(Rotation):
        def augment(self): return augment()
    opener, start = OpenSquare(32), time.process_time()
    learn = train_pretext(pretext_dls(photos, opener, Augmented(), say=noop), epochs=passes, lr=5e-3, seed=seed)
    spent = time.process_time() - start
    watch = WatchFeatures(photos, opener, labels=20, say=noop)
    return dict(rotation_accuracy=round(rotation_history(learn)[-1]['rotation_accuracy'], 4),
                score=round(watch.score(learn.model[0]), 4), cpu_seconds=round(spent, 1))

def main():
    n, passes = (int(a) for a in (*sys.argv[1:3], *('120', '8')[len(sys.argv[1:3]):]))
    out, rows = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(__file__).with_suffix('.csv'), []
    with tempfile.TemporaryDirectory() as tmp:
        world = draw_world(Path(tmp)/'world', train=n, valid=30, test=1, size=32, clutter=.2,
                           classes=['house', 'car', 'cup', 'boat', 'chair'])
        photos = read_photos(world, say=noop)
        for seed in range(3):
            for name, augment in ARMS.items():
                rows.append(dict(augmentation=name, seed=seed, pictures=5*n, passes=passes,
                                 **train(photos, augment, passes, seed), **machine()))
                print({k: rows[-1][k] for k in ('augmentation', 'seed', 'rotation_accuracy', 'score')}, flush=True)
    with open(out, 'w', newline='') as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)

if __name__ == '__main__': main()
