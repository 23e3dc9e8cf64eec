"""What each check of the audit finds of planted faults, and what it cries over nothing.

    python benchmarks/alarms.py [PHOTOS] [DRAWS]        writes benchmarks/alarms.csv

Clean collections are those that lie in fastai's data folder (flowers_160, cifar10_png6k, bccd_cells), and a drawn
world, upright and turned at random. Faults are planted in the squares that the audit sees. A row of the table is one
draw of photos with one fault, and says what each check read. Blood cells and CIFAR-10 as JPEG are taken as they are:
they have faults of their own.
"""
import io
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.data.external import fastai_path
from fastai.vision.all import DataBlock, IndexSplitter, IntToFloatTensor, TransformBlock, noop
from fasttransform import Transform
from fastai.vision.core import TensorImage
from PIL import Image, ImageDraw, ImageFont
from selfsup.checks.audit import CHECKS, EMPTY, audit_shortcuts
from selfsup.data.drawn import draw_picture
from selfsup.data.scan import picture_files
from selfsup.data.shapes import UPRIGHT
from selfsup.data.squares import OpenSquare
from selfsup.pretext.rotation import RotationBlock
from selfsup.transfer.loaders import augmentation

HERE = Path(__file__).parent
SIZES = dict(flowers_160=64, cifar10_png6k=32, bccd_cells=64, cifar10=32)

def date(im, rng):
    "An orange date at the bottom right"
    side = im.width
    text = f'{rng.integers(1, 29):02}.{rng.integers(1, 13):02}.{rng.integers(10, 25)}'
    font = ImageFont.load_default(size=side/9)
    ImageDraw.Draw(im).text((side - 2, side - 2), text, fill=(255, 140, 0), font=font, anchor='rs')
    return im

def dot(pixels):
    "A white square at one place"
    def plant(im, rng):
        x, y = im.width//5, im.width//4
        ImageDraw.Draw(im).rectangle([x, y, x + pixels - 1, y + pixels - 1], fill=(255, 255, 255))
        return im
    return plant

def line(pixels):
    "A black line along the left side"
    def plant(im, rng):
        ImageDraw.Draw(im).rectangle([0, 0, pixels - 1, im.height], fill=(0, 0, 0))
        return im
    return plant

def frame(im, rng):
    "A black frame of two pixels all around: it looks alike at every turn"
    ImageDraw.Draw(im).rectangle([0, 0, im.width - 1, im.height - 1], outline=(0, 0, 0), width=2)
    return im

def corner(pixels):
    "A black corner at the top left"
    def plant(im, rng):
        ImageDraw.Draw(im).polygon([(0, 0), (pixels, 0), (0, pixels)], fill=(0, 0, 0))
        return im
    return plant

def fringe(pixels):
    "Red moved down by a part of a pixel"
    def plant(im, rng):
        a = np.array(im).astype(float)
        a[1:, :, 0] = (1 - pixels)*a[1:, :, 0] + pixels*a[:-1, :, 0]
        return Image.fromarray(a.round().astype(np.uint8))
    return plant

def jpeg(quality, colour):
    "Saved as JPEG and opened again"
    def plant(im, rng):
        im.save(file := io.BytesIO(), 'JPEG', quality=quality, subsampling=colour)
        return Image.open(file).convert('RGB')
    return plant

FAULTS = [('nothing', noop, 0),
          *[('date', date, share) for share in (1, .2, .05)],
          *[('dot of 1 pixel', dot(1), share) for share in (1, .2)],
          *[('dot of 2×2 pixels', dot(2), share) for share in (1, .2, .05)],
          *[('line of 1 pixel', line(1), share) for share in (1, .2)],
          *[('line of 3 pixels', line(3), share) for share in (1, .2, .05)],
          ('frame all around', frame, 1),
          *[('black corner of 5 pixels', corner(5), share) for share in (1, .2, .05)],
          *[('red moved by 0.1 pixel', fringe(.1), 1), ('red moved by 0.3 pixel', fringe(.3), 1)],
          *[('JPEG 90, 4:2:0', jpeg(90, '4:2:0'), share) for share in (1, .2)],
          ('JPEG 75, 4:2:2', jpeg(75, '4:2:2'), 1),
          ('JPEG 75, 4:4:4', jpeg(75, '4:4:4'), 1)]

def squares(name, n):
    "Up to `n` photos of a collection as squares, or None"
    if name.startswith('drawn'):
        rng = np.random.default_rng(0)
        ims = [draw_picture(UPRIGHT[i % len(UPRIGHT)], i, size=64) for i in range(n)]
        if name == 'drawn, turned': ims = [im.rotate(90*int(rng.integers(4))) for im in ims]
        return [np.array(im) for im in ims]
    folder = fastai_path('data')/name
    if not folder.is_dir(): return None
    files, opener = picture_files(folder), OpenSquare(SIZES[name])
    chosen = np.random.default_rng(0).permutation(len(files))[:n]
    return [opener.open(files[i]).permute(1, 2, 0).numpy() for i in chosen]

class FromArray(Transform):
    "A picture from an array in memory"
    def __init__(self, arrays): self.arrays = arrays
    def encodes(self, i:int): return TensorImage(torch.from_numpy(self.arrays[i])).permute(2, 0, 1).contiguous()

def dls_of(arrays):
    "The loaders that the package's own commands make, of pictures in memory"
    pictures = TransformBlock(type_tfms=FromArray(arrays), batch_tfms=IntToFloatTensor)
    block = DataBlock((pictures, RotationBlock()), splitter=IndexSplitter([0]), batch_tfms=augmentation())
    return block.dataloaders(list(range(len(arrays))), bs=64, num_workers=0)

def planted(arrays, plant, share, rng):
    "The pictures, a share of them with a fault"
    hit = rng.permutation(len(arrays)) < round(share*len(arrays))
    return [np.array(plant(Image.fromarray(a), rng)) if h else a for a, h in zip(arrays, hit)]

def rows(name, arrays, n, draw):
    "One draw of `n` photos: a row for each fault"
    rng = np.random.default_rng(draw)
    some = [arrays[i] for i in rng.permutation(len(arrays))[:n]]
    faults = FAULTS if name not in ('bccd_cells', 'cifar10') else FAULTS[:1]
    checks = [c for c in CHECKS if c.shown not in EMPTY]
    for fault, plant, share in faults:
        start = time.time()
        res = audit_shortcuts(dls_of(planted(some, plant, share, rng)), n, seed=draw, say=noop, checks=checks)
        yield dict(collection=name, fault=fault, share=share, draw=draw, photos=len(some),
                   **{r['sees']: r['reading'] for r in res.rows}, seconds=round(time.time() - start, 1))

NAMES = 'cifar10_png6k', 'drawn, turned', 'drawn', 'flowers_160', 'bccd_cells', 'cifar10'

def main(n=500, draws=2):
    n, draws, table = int(n), int(draws), []
    pictures = {name: squares(name, n*draws) for name in NAMES}
    missing = [name for name, arrays in pictures.items() if arrays is None]
    if missing: sys.exit(f"Not in fastai's data folder: {', '.join(missing)}. alarms.csv was left as it is.")
    for name, arrays in pictures.items():
        for draw in range(draws):
            table += rows(name, arrays, n, draw)
            pd.DataFrame(table).to_csv(HERE/'alarms.csv', index=False)
            print(name, draw, f'{sum(r["seconds"] for r in table):.0f} s', flush=True)

if __name__ == '__main__': main(*sys.argv[1:])
