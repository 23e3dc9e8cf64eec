"Features, probes, and the callback that watches with them."
import gc
import pickle
import shutil
import warnings
import numpy as np
import pytest
from selfsup.all import *
from selfsup.errors import InputError
from selfsup.models.features import pool, stage_outputs
from fastai.vision.all import (
    Callback, CategoryBlock, DataBlock, DataLoader, ImageBlock, ProgressCallback, RandomSplitter, Resize,
    aug_transforms, load_learner, nn, parent_label, torch)

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp('data')/'world'
    return draw_world(path, train=12, valid=6, test=1, classes=['house', 'cup'], size=32)

def turned(world, **kwargs):
    return RotationDataLoaders.from_folder(world, bs=5, num_workers=0, item_tfms=Resize(32), **kwargs)

@pytest.fixture
def encoder(): return create_encoder('small')

# Features

@pytest.mark.parametrize('angles', [(0, 180), (0, 90, 180, 270)], ids=len)
def test_rows_of_a_rotation_loader_are_its_items(world, encoder, angles):
    dls = turned(world, angles=angles, batch_tfms=aug_transforms())
    encoder.meta['normalization'] = None
    for dl in dls.loaders:
        res, k = extract_features(encoder, dl), len(angles)
        files = dl.dataset.items
        assert len(res) == len(dl.items) == len(files)*k
        assert res.y.tolist() == dl.items.targets == list(range(k))*len(files)
        x = torch.stack([torch.Tensor(OpenSquare(32)(f)) for f in files])/255
        for i, a in enumerate(angles):
            with torch.no_grad(): by_hand = encoder.eval()(rotate(x, a)).mean((2, 3))
            assert np.allclose(res.x[4][i::k], by_hand, atol=1e-6)
    some = dls.test_dl(dls.valid.items[3:6], with_labels=True)
    assert extract_features(encoder, some).y.tolist() == dls.valid.items[3:6].targets
    assert extract_features(encoder, dls.test_dl(files)).y is None

def test_a_picture_that_is_lost_is_marked(world, encoder, tmp_path):
    shutil.copytree(world, tmp_path/'world')
    dls = turned(tmp_path/'world')
    dls.valid.dataset.items[1].unlink()
    assert extract_features(encoder, dls.valid).y.tolist() == [0, 1, 2, 3] + [INVALID]*4 + [0, 1, 2, 3]*10

def test_reading_does_not_move_the_loaders_random_state(world, encoder):
    dls = turned(world)
    before = dls.train.rng.getstate()
    extract_features(encoder, dls.train)
    assert dls.train.rng.getstate() == before

def test_a_loader_without_pictures(world, encoder):
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=RandomSplitter(0.))
    dls = block.dataloaders(picture_files(world/'train'), num_workers=0)
    for dl in (dls.valid, DataLoader([], bs=2)):
        with pytest.raises(InputError, match='no pictures'): extract_features(encoder, dl)

@pytest.mark.parametrize('shape', [(), (5,), (2, 3, 4, 5, 6)])
def test_shapes_that_cannot_be_pooled(shape):
    with pytest.raises(InputError, match='x is'): pool(torch.rand(shape))

@pytest.mark.parametrize('x', [torch.rand(3, 32, 32), torch.rand(32, 32), torch.rand(2, 3, 32, 32).byte()],
                         ids=['one picture', 'grey', 'bytes'])
def test_pictures_of_another_form(encoder, x):
    with pytest.raises(InputError, match='give pictures B×3×S×S'): stage_outputs(encoder, x)

@pytest.mark.parametrize('room', [1e9, 0])
def test_a_pickled_table_holds_the_numbers_and_no_path(world, encoder, room):
    files = picture_files(world/'valid')
    table = file_features(encoder, files, OpenSquare(32), room=room)
    data = pickle.dumps(table)
    assert not [f for f in files if f.name.encode() in data or f.parent.as_posix().encode() in data]
    again = pickle.loads(data)
    assert all(np.array_equal(again.x[s], table.x[s]) for s in table.x) and len(again) == len(table)
    del again
    gc.collect()
    assert np.isfinite(table.x[4]).all()

# Probes

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(40, 6)), np.arange(40) % 4
X[:, 0] += Y

@pytest.mark.parametrize('x', [X[:, 0], X[None], X[:39], X*np.nan, np.where(X > 2, np.inf, X), X[:, :0], X[:0]],
                         ids=['one column', 'too deep', 'too short', 'nan', 'inf', 'no column', 'no row'])
def test_features_that_are_no_table(x):
    with pytest.raises(InputError): linear_probe(x, Y)
    with pytest.raises(InputError): knn_predict(x, Y, X)
    with pytest.raises(InputError): layer_probe({1: X}, Y, {1: x}, Y)

@pytest.mark.parametrize('q', [X[:, :5], X[0], X[None], X*np.nan, []],
                         ids=['narrow', 'one row', 'too deep', 'nan', 'nothing'])
def test_queries_that_are_no_table(q):
    with pytest.raises(InputError, match='queries'): knn_predict(X, Y, q)

@pytest.mark.parametrize('name, value', [
    ('k', 2.5), ('k', 0), ('k', '20'), ('chunk', 0), ('chunk', 1.5), ('T', 0), ('T', np.nan)])
def test_numbers_of_the_vote(name, value):
    with pytest.raises(InputError, match=f'{name} is {value}'): knn_predict(X, Y, X, **{name: value})

def test_few_neighbours_and_few_queries():
    assert knn_predict(X, Y, X[:0]).shape == (0,)
    assert knn_predict(X[:1], Y[:1] + 3, X).tolist() == [3]*40
    assert (knn_predict(X, Y, X, k=1000) == knn_predict(X, Y, X, k=40)).all()
    assert (knn_predict(X, Y, X, k=np.int64(3), chunk=1) == knn_predict(X, Y, X, k=3)).all()

@pytest.mark.parametrize('name, value', [
    ('x', {}), ('test_x', {2: X}), ('test_x', {1: X[:, :5]}), ('test_y', []), ('test_y', Y[:39]),
    ('Cs', [0.]), ('Cs', [np.inf])])
def test_arguments_of_layer_probe(name, value):
    fine = dict(x={1: X}, y=Y, test_x={1: X}, test_y=Y)
    assert layer_probe(**fine).best == 1
    with pytest.raises(InputError): layer_probe(**{**fine, name: value})

# Watching

@pytest.fixture
def watched(world):
    "A learner that carries a callback which has watched one epoch"
    photos, opener = read_photos(world), OpenSquare(32)
    learn = rotation_learner(turned(world), cbs=WatchFeatures(photos, opener, labels=5))
    learn.remove_cb(ProgressCallback)
    learn.logger = lambda *args: None
    learn.fit(1, 1e-3)
    return learn

def test_an_exported_learner_holds_no_photo_and_no_path(watched, world, tmp_path):
    watched.export(tmp_path/'model.pkl')
    data = (tmp_path/'model.pkl').read_bytes()
    files = picture_files(world)
    assert not [f for f in files if f.name.encode() in data]
    pixels = [OpenSquare(32)(f).numpy().tobytes() for f in files]
    assert not [p for p in pixels if p[:256] in data]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        watch = load_learner(tmp_path/'model.pkl').watch_features
    assert watch.table().equals(watched.watch_features.table()) and len(watch.plot().axes) == 1
    with pytest.raises(InputError, match='add a new one'): watch.score(watched.model[0])
    assert watched.watch_features.score(watched.model[0]) >= 0

def test_one_that_was_loaded_watches_no_more(watched):
    watch = watched.watch_features
    watched.remove_cb(watch)
    watch, rows = pickle.loads(pickle.dumps(watch)), len(watch.history)
    with pytest.warns(UserWarning, match='nothing is watched'): watched.fit(2, 1e-3, cbs=watch)
    assert len(watch.history) == rows

def test_a_search_that_was_interrupted_does_not_end_the_watching(watched, tmp_path):
    class Stop(Callback):
        def before_batch(self): raise KeyboardInterrupt
    watched.path, rows = tmp_path, len(watched.watch_features.history)
    watched.add_cb(stop := Stop())
    with pytest.raises(KeyboardInterrupt): watched.lr_find(num_it=6, show_plot=False)
    watched.remove_cb(stop)
    watched.fit(1, 1e-3)
    assert len(watched.watch_features.history) == rows + 1

def test_an_epoch_that_was_interrupted_leaves_no_row(watched):
    class Stop(Callback):
        def after_train(self): raise KeyboardInterrupt
    rows = len(watched.watch_features.history)
    with pytest.raises(KeyboardInterrupt): watched.fit(1, 1e-3, cbs=Stop())
    watched.validate()
    assert len(watched.watch_features.history) == rows

def test_maps_of_a_timm_encoder_are_not_turned_round():
    enc = create_encoder('timm/test_mambaout', size=64).eval()  # its first stage gives 16×16×16
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad(): assert all(map(torch.equal, stage_outputs(enc, x).values(), enc.features(x)))
