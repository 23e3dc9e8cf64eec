"""Does an encoder that others trained tell which photos suit rotation? Photos of which a share was turned, asked anew.

    python benchmarks/suitability.py ENCODER [--out FILE.csv] [--size N] [--minutes N]

ENCODER is timm/ARCH:FILE or the folder of a saved one. Of each collection 450 photos are copied, a share of them turned
by 0, 90, 180 or 270 degrees at random: where half of the photos or more lie anyhow, a network that guesses turns has
little to learn. `suitability` then asks the encoder about 150 of them, and learns from the others. Collections are those
of fastai's folder that are there (flowers_160, cifar10, bccd_cells), and two drawn ones: things with a natural way up,
and things that look the same when turned. Rows that stand in the CSV are not made again.
"""
import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fastai.data.external import fastai_path
from fastai.vision.all import get_image_files, noop
from parts import run_parts
from PIL import Image
from selfsup.all import SYMMETRIC, UPRIGHT, draw_world, picture_interval, suitability

SHARES = 0, .25, .5, .75, 1

def drawn(classes, tmp): return draw_world(tmp/'-'.join(classes), train=70, valid=1, test=1, classes=classes, size=96)

def collections(tmp):
    "Name to folder"
    data = fastai_path('data')
    real = dict(flowers='flowers_160', **{'CIFAR-10': 'cifar10', 'blood cells': 'bccd_cells'})
    there = {name: data/folder for name, folder in real.items() if (data/folder).is_dir()}
    return there | {'drawn, upright': drawn(UPRIGHT[:7], tmp), 'drawn, symmetric': drawn(SYMMETRIC, tmp)}

def turned(folder, share, out, n=450):
    "Copies of `n` training photos, a share of them turned at random"
    rng = np.random.default_rng(0)
    files = sorted(f for f in get_image_files(folder) if 'test' not in f.relative_to(folder).parts)
    out.mkdir()
    for i, f in enumerate(rng.permutation(files)[:n]):
        im = Image.open(f).convert('RGB')
        if rng.random() < share: im = im.rotate(90*int(rng.integers(4)), expand=True)
        im.save(out/f'{i:03}.png')
    return out

class Part(NamedTuple):
    "One collection, a share of it turned"
    collection:str
    turned:float

def key(row): return row['collection'], str(row['turned'])

def ask(folder, encoder, size):
    "What the encoder says of the photos in a folder"
    res = suitability(folder, size=size, n=300, n_ask=150, encoder=encoder, say=noop)
    (whole, low, high), lost = (picture_interval(h) for h in (res.hits[0], res.hits[0] - res.hits[1]))
    values = dict(whole=whole, low=low, high=high, shuffled=res.hits[1].mean(), lost_low=lost[1], lost_high=lost[2])
    yield {k: round(v, 3) for k, v in values.items()} | dict(verdict=res.verdict)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('encoder')
    parser.add_argument('--out', type=Path, default=Path(__file__).with_suffix('.csv'))
    parser.add_argument('--size', type=int, default=96)
    parser.add_argument('--minutes', type=float, help='begin no row after this time')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        folders = collections(tmp)
        def do(part): return ask(turned(folders[part.collection], part.turned, tmp/'-'.join(key(part._asdict()))),
                                 args.encoder, args.size)
        run_parts([Part(name, share) for share in SHARES for name in folders], do, args.out,
                  'whole low high shuffled lost_low lost_high verdict'.split(), key, dict(encoder=Path(args.encoder).name, size=args.size),
                  args.minutes, score=lambda row: row['whole'])

if __name__ == '__main__': main()
