"""Rotation views a second of several ways to load them, in turns, beside the scheme of the paper's own code.

    python benchmarks/loading.py [--rounds N] [--workers N,N] [--out loading.csv]

That scheme opens each picture, crops and mirrors it, and sends each of its four turned copies through ToTensor and
Normalize. Photos are CIFAR-10's JPEG files at 32 pixels and flowers at 128, where fastai's folder of data has them
(`untar_data` fetches the first), else pictures that the package draws. Every way is asked once a round, for the same
pictures; ratios are of the same round. With n workers, what works in this process has n threads.
"""
import os

# As in the commands: a thread that waits leaves its core to the workers
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

import argparse
import csv
import resource
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import torch
from fastai.data.external import fastai_path
from fastai.vision.all import (CategoryBlock, DataBlock, Image, IndexSplitter, IntToFloatTensor, ItemGetter,
                               ItemTransform, Normalize, PILImage, Resize, ToTensor, TransformBlock, get_image_files,
                               imagenet_stats, noop)
from machine import machine
from selfsup.all import OpenSquare, RotationDataLoaders, draw_world, rotation_dls
from selfsup.console import counted
from selfsup.data.augmentation import CropFlip
from selfsup.models.normalization import normalize_like
from torchvision import transforms as T

BS, ANGLES = 32, (0, 90, 180, 270)
PHOTOS = {'CIFAR-10': ('cifar10/train', 32, 4000), 'flowers': ('flowers_160/train', 128, 800)}  # folder, side, pictures

def few(folder, n):
    "n files, evenly out of all"
    files = sorted(get_image_files(folder))
    return files[::max(1, len(files)//n)][:n]

def photos(tmp, times=1):
    "Files of each collection that is at hand, else of drawn pictures; `times` as many"
    data = fastai_path('data')
    here = {name: spec for name, spec in PHOTOS.items() if (data/spec[0]).is_dir()}
    found = {name: (few(data/folder, times*n), side) for name, (folder, side, n) in here.items()}
    for side, n in () if found else ((32, 500*times), (128, 100*times)):
        found[f'drawn, {side}'] = few(draw_world(tmp/f'{side}', train=n//8, valid=2, test=1, size=side), n), side
    return found

class Official(torch.utils.data.Dataset):
    "Four turned copies of each picture, as in github.com/gidariss/FeatureLearningRotNet"
    def __init__(self, files, side, keep=False):
        self.square = T.Compose([T.Resize(side), T.CenterCrop(side)])
        self.augment = T.Compose([T.RandomCrop(side, side//8, padding_mode='reflect'), T.RandomHorizontalFlip()])
        self.finish = T.Compose([T.ToTensor(), T.Normalize(*imagenet_stats)])
        self.files, self.kept = files, [self.open(f) for f in files] if keep else None
    def open(self, file): return self.square(Image.open(file).convert('RGB'))
    def __len__(self): return len(self.files)
    def __getitem__(self, i):
        a = np.asarray(self.augment(self.kept[i] if self.kept else self.open(self.files[i])))
        return torch.stack([self.finish(np.rot90(a, q).copy()) for q in range(4)]), torch.arange(4)

def official(files, side, workers, keep=False):
    "Views of one pass"
    kept = Official(files, side, keep)
    return lambda: torch.utils.data.DataLoader(kept, BS, shuffle=True, num_workers=workers, drop_last=True)

def plain_fastai(files, side, workers):
    "What one would write in fastai: each picture is there four times, and an item transform turns it"
    square = T.Compose([T.Resize(side), T.CenterCrop(side)])
    turned = ItemTransform(lambda o: PILImage(square(PILImage.create(o[0])).rotate(o[1])))
    pictures = TransformBlock(turned, batch_tfms=IntToFloatTensor)
    block = DataBlock((pictures, CategoryBlock), get_y=ItemGetter(1), splitter=IndexSplitter([]), item_tfms=ToTensor,
                      batch_tfms=[CropFlip(), Normalize.from_stats(*imagenet_stats)])
    dls = block.dataloaders([(f, a) for f in files for a in ANGLES], bs=4*BS, num_workers=workers)
    return lambda: dls.train

def ours(files, side, workers, **kwargs):
    "`RotationDataLoaders`"
    tfms = [CropFlip(), Normalize.from_stats(*imagenet_stats)]
    dls = RotationDataLoaders.from_lists('.', files, files[:1], batch_tfms=tfms, bs=BS, num_workers=workers, **kwargs)
    return lambda: dls.train

def with_resize(files, side, workers): return ours(files, side, workers, item_tfms=Resize(side))
def from_files(files, side, workers): return ours(files, side, workers, img_cls=OpenSquare(side, room=0))
def in_memory(files, side, workers): return ours(files, side, 0, img_cls=OpenSquare(side))

def compared(files, side, workers):
    "What `pretrain` and `compare` use, with their augmentation"
    photos = SimpleNamespace(open_all=lambda opener, *splits, say: opener.keep(files, say), folder='photos',
                             files=lambda *splits: files[:1] if splits == ('valid',) else files)
    dls = rotation_dls(photos, OpenSquare(side), bs=BS, say=noop)
    normalize_like(dls)
    return lambda: dls.train

def one_tensor(files, side, workers):
    "A loop over one tensor of bytes, without any library around it: a crop and a mirror image for the whole batch"
    opener, pad = OpenSquare(side), side//8
    opener.keep(files, noop)
    mean, std = (torch.tensor(o)[:, None, None] for o in imagenet_stats)
    def batches():
        for at in torch.randperm(len(files)).split(BS):
            x = torch.nn.functional.pad(opener.squares[at].float()/255, (pad,)*4, mode='reflect')
            i, j = torch.randint(0, 2*pad + 1, (2,)).tolist()
            x = x[:, :, i:i + side, j:j + side]
            x = ((x.flip(-1) if torch.rand(1) < .5 else x) - mean)/std
            yield torch.cat([torch.rot90(x, q, (-2, -1)) for q in range(4)]), torch.arange(4).repeat_interleave(len(at))
    return batches

SCHEMES = {
    "the paper's scheme, from files": official,
    "the paper's scheme, pictures in memory": partial(official, keep=True),
    'plain fastai, an item transform that turns': plain_fastai,
    'RotationDataLoaders with Resize, from files': with_resize,
    'RotationDataLoaders with OpenSquare, from files': from_files,
    'RotationDataLoaders with OpenSquare, in memory': in_memory,
    'rotation_dls, in memory, usual augmentation': compared,
    'a loop over one tensor, no library': one_tensor,
}

def used():
    "CPU seconds of this process and of its workers that have ended"
    return sum(t for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) for t in resource.getrusage(who)[:2])

def pace(loader):
    "(views a second, CPU seconds for a thousand views) of one pass"
    start, cpu, n = time.perf_counter(), used(), 0
    for b in loader(): n += b[1].numel()
    return n/(time.perf_counter() - start), 1000*(used() - cpu)/n

def measure(name, files, side, workers, rounds):
    "One row for each scheme"
    torch.set_num_threads(workers)
    loaders = {scheme: make(files, side, workers) for scheme, make in SCHEMES.items()}
    found = {scheme: [] for scheme in loaders}
    for loader in loaders.values(): pace(loader)
    for _ in range(rounds):
        for scheme, loader in loaders.items(): found[scheme].append(pace(loader))
    first = [views for views, _ in found[next(iter(SCHEMES))]]
    for scheme, pairs in found.items():
        views, cpu = zip(*pairs)
        ratios = [v/f for v, f in zip(views, first)]
        yield dict(photos=name, pictures=len(files), side=side, workers=workers, scheme=scheme,
                   views_a_second=round(median(views)), least=round(min(views)), most=round(max(views)),
                   cpu_seconds_a_thousand=round(median(cpu), 3), ratio=round(median(ratios), 2),
                   ratio_least=round(min(ratios), 2), ratio_most=round(max(ratios), 2))

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--workers', default='1,2', help='numbers of workers, with commas between them')
    parser.add_argument('--out', default=Path(__file__).with_suffix('.csv'))
    args, rows = parser.parse_args(), []
    with tempfile.TemporaryDirectory() as tmp:
        for workers in map(int, args.workers.split(',')):
            for name, (files, side) in photos(Path(tmp)).items():
                for row in measure(name, files, side, workers, args.rounds):
                    print(f"{name}, {side} px, {counted(workers, 'worker')}: {row['scheme']:47} "
                          f"{row['views_a_second']:6} views a second, "
                          f"{row['ratio']} times ({row['ratio_least']} to {row['ratio_most']}), "
                          f"CPU {row['cpu_seconds_a_thousand']} s a thousand", flush=True)
                    rows.append({**row, **machine(), 'rounds': args.rounds})
    with open(args.out, 'w', newline='') as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)

if __name__ == '__main__': main()
