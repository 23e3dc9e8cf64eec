"""How often do the intervals and the verdict cry wolf? Simulated methods that are equal, judged on the same photos.

    python benchmarks/coverage.py [DRAWS]

It writes two tables beside itself. coverage.csv: the share of intervals that exclude zero, in % (5 are promised),
and their mean width in points, for the interval of the package, for the same variance with Satterthwaite's degrees of
freedom, and for a percentile bootstrap. answers.csv: what the verdict says, in %. Pass: at most 7 % in every cell of
the package's interval.
"""
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from selfsup.evaluation.verdict import rule
from selfsup.statistics import Difference, _parts, class_weights, crossed_interval

HERE, CHUNK, RESAMPLED, ACCURACY = Path(__file__).parent, 250, 400, .6
SEEDS, PHOTOS, SPREADS = (2, 3, 5), (300, 1000), (0, 2, 4, 8)
CLASSES = {'balanced': [.25, .25, .25, .25], 'unbalanced': [.70, .20, .07, .03]}
# What makes a photo hard: for all, for one method, for one draw of labels; the rest is luck. Hits of two seeds of a
# method then correlate by about 0.3, those of two methods of one seed by as much, of different seeds by 0.2.
ALL, METHOD, LABELS = .3, .15, .15
# Points by which the long and the short run from scratch differ from the pretrained one
TRUTHS = {'all three are equal': (0, 0), 'only the long run is better, by 5 points': (0, 5),
          'only the short run is worse, by 5 points': (-5, 0), 'both are worse, by 5 points': (-5, -5),
          'both are worse, by 15 points': (-15, -15)}

def photo_classes(photos, shares):
    "The class of each photo"
    return np.repeat(np.arange(len(shares)), np.round(photos*np.array(shares)).astype(int))

def simulate(rng, better, seeds, truth, spread, balanced):
    "Hits draws × methods × seeds × photos; `better` and `spread` (sd over seeds of a method's accuracy) in points"
    normal = lambda *shape: rng.standard_normal((CHUNK, *shape), dtype=np.float32)
    m, n = len(better), len(truth)
    w = class_weights(truth, balanced)
    shares = np.bincount(truth, w)/w.sum()
    slope = 100*stats.norm.pdf(stats.norm.ppf(ACCURACY))  # points a unit of skill
    level = stats.norm.ppf(ACCURACY + np.array(better)/100).astype(np.float32)[:, None, None]
    by_class = normal(m, seeds, len(shares))[..., truth]/np.float32(np.sqrt((shares**2).sum()))
    skill = np.float32(spread/slope*.5**.5)*(normal(m, seeds, 1) + by_class)  # half common to all classes, half of each
    ease = ALL**.5*normal(1, 1, n) + METHOD**.5*normal(m, 1, n) + LABELS**.5*normal(1, seeds, n)
    return ease + skill + (1 - ALL - METHOD - LABELS)**.5*normal(m, seeds, n) > -level

def bootstrap(rng, d, w):
    "The percentile bootstrap over seeds and photos, of all tables with the same draws: points, low and high"
    draws, seeds, photos = d.shape
    counts = rng.multinomial(photos, np.ones(photos)/photos, RESAMPLED).T*w[:, None]
    by_seed = (d.reshape(-1, photos) @ (counts/counts.sum(0)).astype(np.float32)).reshape(draws, seeds, RESAMPLED)
    drawn = np.einsum('dsr,sr->dr', by_seed, rng.multinomial(seeds, np.ones(seeds)/seeds, RESAMPLED).T/seeds)
    return d@(w/w.sum()), *np.quantile(drawn, (.025, .975), axis=1)

def satterthwaite(d, w):
    "Seeds + photos - rest, the larger of seeds and photos where that is not above zero, and one t for the mixture"
    w, seeds = w/w.sum(), d.shape[1]
    mean, *parts = _parts(d, w)
    f = (w**2).sum()**2/(w**4).sum()*(1 - 1/len(w))
    free = np.array([seeds - 1, f, f*(seeds - 1)])[:, None]
    parts, sign = np.array(parts), np.array([1, 1, -1])[:, None]
    var, larger = (sign*parts).sum(0), parts[:2].argmax(0)
    df = np.where(var > 0, var**2/(parts**2/free).sum(0), free[larger, 0])
    half = stats.t.ppf(.975, np.maximum(df, 1))*np.where(var > 0, var, parts[:2].max(0))**.5
    return mean, mean - half, mean + half

def cell(rng, draws, seeds, photos, spread, classes):
    "One row of coverage.csv"
    truth, balanced, found = photo_classes(photos, CLASSES[classes]), classes == 'unbalanced', {}
    w = class_weights(truth, balanced).astype(np.float32)
    for _ in range(-(-draws//CHUNK)):
        hits = simulate(rng, (0, 0), seeds, truth, spread, balanced)
        d = hits[:, 0].astype(np.float32) - hits[:, 1]
        for name, (_, low, high) in dict(now=crossed_interval(d, w), satterthwaite=satterthwaite(d, w),
                                         before=bootstrap(rng, d, w)).items():
            found.setdefault(name, []).append([(low > 0) | (high < 0), 2*np.clip((high - low)/2, 0, 1)])
    res = {name: np.mean(rows, (0, 2))*100 for name, rows in found.items()}
    row = dict(seeds=seeds, photos=photos, spread=spread, classes=classes)
    return row | {k: v[0].round(1) for k, v in res.items()} | {f'width {k}': v[1].round(1) for k, v in res.items()}

def answers(rng, draws, truth, seeds, photos, spread):
    "One row of answers.csv"
    classes, said = photo_classes(photos, CLASSES['balanced']), []
    w, (short, long) = np.ones(photos, np.float32), TRUTHS[truth]
    for _ in range(-(-draws//CHUNK)):
        hits = simulate(rng, (0, short, long), seeds, classes, spread, False).astype(np.float32)
        pairs = [np.transpose(crossed_interval(hits[:, 0] - hits[:, other], w)) for other in (1, 2)]
        said += [rule(*(Difference(*p, (0,)*seeds) for p in pair)) for pair in zip(*pairs)]
    shares = pd.Series(said).value_counts(normalize=True)*100
    return dict(truth=truth, seeds=seeds, photos=photos, spread=spread) | shares.round(1).to_dict()

def main(draws=5000):
    draws, rng, start = int(draws), np.random.default_rng(0), time.time()
    cells = itertools.product(SEEDS, PHOTOS, SPREADS, CLASSES)
    t = pd.DataFrame([cell(rng, draws, *c) for c in cells])
    t.to_csv(HERE/'coverage.csv', index=False)
    names = ['now', 'satterthwaite', 'before']
    print('Highest share of intervals that exclude zero, %:', t.groupby('seeds')[names].max(), sep='\n')
    wide = t[t.classes == 'balanced'].pivot_table(index=['photos', 'spread'], columns='seeds', values='width now')
    print('Mean width in points (balanced classes), and what five seeds leave of that of three:',
          wide.assign(ratio=(wide[5]/wide[3]).round(2)), sep='\n')
    a = pd.DataFrame([answers(rng, draws, *c) for c in itertools.product(TRUTHS, SEEDS, PHOTOS, SPREADS)]).fillna(0)
    a.to_csv(HERE/'answers.csv', index=False)
    said = a.drop(columns=['photos', 'spread']).groupby(['truth', 'seeds']).mean().round(1)
    print('What the verdict says, mean over cells, %:', said.to_string(), sep='\n')
    passed = 'passed' if t.now.max() <= 7 else 'FAILED'
    print(f'{time.time() - start:.0f} s; {passed}: at most {t.now.max()} % in any cell')

if __name__ == '__main__': main(*sys.argv[1:])
