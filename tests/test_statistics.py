"Intervals: what they must be in cases that have another answer, and what they promise."
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from selfsup.errors import InputError
from selfsup.statistics import (
    Interval, _parts, by_picture, class_weights, crossed_interval, mean_interval, paired_difference, paired_interval,
    picture_interval)

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)
UNEQUAL = np.repeat([0, 1, 2, 3], [70, 20, 7, 3])

def hits(seeds=3, photos=100, share=.6, rng=RNG): return rng.random((seeds, photos)) < share

def same(one, other): assert np.allclose(one, other, rtol=0, atol=1e-12), (one, other)

def ttest(x):
    "The t-interval of a mean, by scipy"
    ends = stats.ttest_1samp(x, 0).confidence_interval()
    return np.mean(x), ends.low, ends.high

def mean_squares(d):
    "Of seeds, photos and rest: differences of residual sums of squares of least-squares fits"
    s, n = d.shape
    one, rows, columns = np.ones((s*n, 1)), np.repeat(np.eye(s), n, 0), np.tile(np.eye(n), (s, 1))
    def left(*parts):
        x = np.hstack(parts)
        return ((d.ravel() - x @ np.linalg.lstsq(x, d.ravel(), rcond=None)[0])**2).sum()
    rest = left(one, rows, columns)
    return ((left(one, columns) - rest)/(s - 1), (left(one, rows) - rest)/(n - 1), rest/((s - 1)*(n - 1)))

@pytest.mark.parametrize('seeds, photos', [(2, 3), (3, 10), (5, 40)])
def test_the_parts_are_the_mean_squares_of_a_two_way_layout(seeds, photos):
    d = RNG.normal(size=(seeds, photos))
    same(_parts(d, np.ones(photos)/photos)[1:], np.array(mean_squares(d))/(seeds*photos))

def test_classes_of_equal_size_weigh_nothing():
    truth, (a, b) = np.arange(100) % 4, (hits(), hits())
    same(paired_interval(a, b, truth, balanced=True), paired_interval(a, b, truth))

def test_one_seed_is_the_t_interval_over_photos():
    a, b = hits(1), hits(1)
    same(paired_interval(a, b, np.zeros(100, int)), ttest(a[0].astype(float) - b[0]))

@pytest.mark.parametrize('balanced', [False, True])
def test_a_seed_that_changes_nothing_adds_nothing(balanced):
    a, b = hits(1), hits(1)
    three = paired_interval(a.repeat(3, 0), b.repeat(3, 0), UNEQUAL, balanced)
    same(three, paired_interval(a, b, UNEQUAL, balanced))

@pytest.mark.parametrize('weights', [np.ones(100), class_weights(UNEQUAL)])
def test_photos_that_all_say_the_same_leave_the_seeds(weights):
    seeds = RNG.normal(size=4)
    same(crossed_interval(seeds[:, None].repeat(100, 1), weights), ttest(seeds))

def test_neither_order_nor_sign_matters():
    a, b, at, seeds = hits(), hits(), RNG.permutation(100), [2, 0, 1]
    point, low, high = paired_interval(a, b, UNEQUAL, balanced=True)
    same(paired_interval(b, a, UNEQUAL, balanced=True), (-point, -high, -low))
    same(paired_interval(a[seeds][:, at], b[seeds][:, at], UNEQUAL[at], balanced=True), (point, low, high))

def test_the_interval_is_never_narrower_than_the_part_of_the_photos():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        a, b = hits(rng=rng), hits(rng=rng)
        photos = (a.astype(float) - b).mean(0)
        point, low, high = paired_interval(a, b, np.zeros(100, int))
        assert high - low >= 2*1.96*photos.std(ddof=1)/10

@pytest.mark.parametrize('weights', [np.ones(30), class_weights(np.repeat([0, 1, 2], [24, 5, 1]))])
def test_the_variance_is_right_on_average_whatever_the_weights(weights):
    "Normal tables whose variance of the mean is known"
    w, rng = weights/weights.sum(), np.random.default_rng(1)
    seeds, photos = .2*rng.normal(size=(20_000, 3, 1)), rng.normal(size=(20_000, 1, 30))
    rest = rng.normal(size=(20_000, 3, 30))
    _, by_seed, by_photo, by_rest = _parts(seeds + photos + .5*rest, w)
    found, true = by_seed + by_photo - by_rest, .2**2/3 + (1 + .5**2/3)*(w**2).sum()
    assert abs(found.mean() - true) < 4*found.std()/20_000**.5

def test_no_luck_at_all_is_a_point_and_no_difference_exceeds_one():
    truth = np.zeros(4, int)
    assert paired_interval(np.ones((3, 4)), np.zeros((3, 4)), truth) == Interval(1, 1, 1)
    res = paired_interval(np.array([[1, 1, 1, 0], [0, 0, 0, 0]]), np.zeros((2, 4)), truth)
    assert (res.low, res.high) == (-1, 1)

def test_a_class_of_one_photo_makes_it_wide_and_breaks_nothing():
    truth = np.array([0]*99 + [1])
    _, low, high = paired_interval(hits(), hits(), truth, balanced=True)
    assert np.isfinite([low, high]).all() and high - low > np.subtract(*paired_interval(hits(), hits(), truth)[:0:-1])

def test_points_are_those_of_the_interval_with_each_seed():
    a, b = hits(), hits()
    d = paired_difference(a, b, UNEQUAL, balanced=True)
    same(d[:3], 100*np.array(paired_interval(a, b, UNEQUAL, balanced=True)))
    by_class = [[x[UNEQUAL == c].mean() - y[UNEQUAL == c].mean() for c in range(4)] for x, y in zip(a, b)]
    same(d.seeds, 100*np.mean(by_class, 1))
    assert abs(np.mean(d.seeds) - d.points) < 1e-9

@pytest.mark.parametrize('a, b, photos, words', [
    (hits(1), hits(3), 100, 'seeds ×'), (hits(1), hits(1), 99, 'seeds ×'), (hits(0), hits(0), 100, 'seeds ×'),
    (hits(3, 1), hits(3, 1), 1, 'at least two')])
def test_hits_that_do_not_fit_are_refused(a, b, photos, words):
    with pytest.raises(InputError, match=words): paired_interval(a, b, np.zeros(photos, int))

def test_pictures_count_and_not_their_views():
    right = RNG.random((40, 1)) < [.5]*4  # the views of a picture agree
    res, (accuracy, error) = picture_interval(right), by_picture(right.ravel(), 4)
    same(res, mean_interval(right[:, 0]))
    same((accuracy, error), (res.point, (res.high - res.point)/stats.t.ppf(.975, 39)))

@pytest.mark.parametrize('spread', [0, .1, .3])
def test_equal_methods_are_told_apart_in_one_of_twenty_at_most(spread):
    "4,000 draws of three seeds and 100 photos, which differ in difficulty as seeds in skill"
    rng, draws = np.random.default_rng(2), 4000
    ease, skill = rng.normal(size=(draws, 1, 100)), spread*rng.normal(size=(2, draws, 3, 1))
    a, b = (ease + s + rng.normal(size=(draws, 3, 100)) > 0 for s in skill)
    _, low, high = crossed_interval(a.astype(float) - b, np.ones(100))
    assert ((low > 0) | (high < 0)).mean() <= .05 + 3*(.05*.95/draws)**.5

def test_the_stored_simulation_passes():
    "What benchmarks/coverage.py wrote: every cell asked for, and at most 7 % in each"
    t = pd.read_csv(HERE.parent/'benchmarks'/'coverage.csv')
    assert len(t) == 48 and t.now.max() <= 7
    assert (t.groupby('seeds').before.max() > 7).all()
