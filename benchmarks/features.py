"""Features of many 32×32 pictures, and a vote of the nearest neighbours over them: time and memory.

    python benchmarks/features.py [PICTURES] [ARCH]
"""
import resource
import sys
import time

import torch
from fastai.data.load import DataLoader
from selfsup.models.encoder import create_encoder
from selfsup.models.features import extract_features
from selfsup.transfer.probes import knn_predict

class Noise:
    "Pictures made when they are asked for"
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, i): return (torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(i)),)

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e6

def main(n=50_000, arch='small'):
    n, encoder = int(n), create_encoder(arch)
    extract_features(encoder, DataLoader(Noise(256), bs=128))  # warm up
    before = peak()
    for room, where in ((0, 'disk'), (1e12, 'memory')):
        start = time.time()
        features = extract_features(encoder, DataLoader(Noise(n), bs=128), room=room)
        print(f'{n:,} pictures, {arch}, table in {where}: {time.time() - start:.0f} s, peak {peak():.2f} GB ({before:.2f} before)')
    x = features.x[list(features.x)[-1]]
    y = torch.arange(n).numpy() % 10
    start = time.time()
    knn_predict(x, y, x[:n//5])
    print(f'kNN of {n//5:,} queries in {n:,} rows of {x.shape[1]}: {time.time() - start:.0f} s')

if __name__ == '__main__': main(*sys.argv[1:])
