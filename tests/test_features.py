"Features, probes, and the callback that watches with them."
import gc
import pickle
import shutil
import tempfile
import warnings
import numpy as np
import pytest
from selfsup.all import *
from selfsup.errors import InputError
from selfsup.features import Features, pool, stage_outputs
from fastai.vision.all import (
    CancelFitException, Callback, CategoryBlock, DataBlock, DataLoader, ImageBlock, L, ProgressCallback, RandomSplitter, Resize, aug_transforms,
    load_learner, nn, parent_label, torch)

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return draw_world(tmp_path_factory.mktemp('data')/'world', train=12, valid=6, test=1, classes=['house', 'cup'], size=32)

@pytest.fixture
def encoder(): return create_encoder('small')

# Features

@pytest.mark.parametrize('angles', [(0, 180), (0, 90, 180, 270)], ids=len)
def test_rows_of_a_rotation_loader_are_its_items(world, encoder, angles):
    dls = RotationDataLoaders.from_folder(world, angles=angles, bs=5, num_workers=0, item_tfms=Resize(32), batch_tfms=aug_transforms())
    encoder.meta['normalization'] = None
    for dl in dls.loaders:
        res, k = extract_features(encoder, dl), len(angles)
        files = dl.dataset.items
        assert len(res) == len(dl.items) == len(files)*k and res.y.tolist() == dl.items.turns == list(range(k))*len(files)
        x = torch.stack([torch.Tensor(OpenSquare(32)(f)) for f in files])/255
        for i, a in enumerate(angles):
            with torch.no_grad(): by_hand = encoder.eval()(rotate(x, a)).mean((2, 3))
            assert np.allclose(res.x[4][i::k], by_hand, atol=1e-6)
    some = dls.test_dl(dls.valid.items[3:6], with_labels=True)
    assert extract_features(encoder, some).y.tolist() == dls.valid.items[3:6].turns
    assert extract_features(encoder, dls.test_dl(files)).y is None

def test_a_picture_that_is_lost_is_marked(world, encoder, tmp_path):
    shutil.copytree(world, tmp_path/'world')
    dls = RotationDataLoaders.from_folder(tmp_path/'world', bs=5, num_workers=0, item_tfms=Resize(32))
    dls.valid.dataset.items[1].unlink()
    assert extract_features(encoder, dls.valid).y.tolist() == [0, 1, 2, 3] + [INVALID]*4 + [0, 1, 2, 3]*10

def test_reading_does_not_move_the_loaders_random_state(world, encoder):
    dls = RotationDataLoaders.from_folder(world, bs=5, num_workers=0, item_tfms=Resize(32))
    before = dls.train.rng.getstate()
    extract_features(encoder, dls.train)
    assert dls.train.rng.getstate() == before

def test_a_loader_without_pictures(world, encoder):
    dls = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=RandomSplitter(0.)).dataloaders(picture_files(world/'train'), num_workers=0)
    with pytest.raises(InputError, match='no pictures'): extract_features(encoder, dls.valid)
    with pytest.raises(InputError, match='no pictures'): extract_features(nn.Sequential(nn.Identity()), DataLoader([], bs=2))

@pytest.mark.parametrize('shape', [(), (5,), (2, 3, 4, 5, 6)])
def test_shapes_that_cannot_be_pooled(shape):
    with pytest.raises(InputError, match='x is'): pool(torch.rand(shape))

@pytest.mark.parametrize('x', [torch.rand(3, 32, 32), torch.rand(32, 32), (torch.rand(2, 3, 32, 32)*255).byte()], ids=['one picture', 'grey', 'bytes'])
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
