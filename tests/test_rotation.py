"Stock fastai methods on the rotation task: every one counts N pictures × k angles."
import inspect
import shutil
import warnings
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from selfsup.all import *
from selfsup.errors import InputError
from selfsup.pretext.views import Views
from fastai.vision.all import (
    CategoryBlock, ClassificationInterpretation, DataBlock, GrandparentSplitter, ImageBlock, ImageDataLoaders, L, Path,
    ProgressCallback, Resize, TensorImage, TfmdDL, aug_transforms, load_learner, parent_label, tensor, torch)
from torchvision.transforms.functional import InterpolationMode, rotate as tv_rotate
import matplotlib
matplotlib.use('Agg')

N = 8

class Counting(PILUpright):
    "Notes every file that is opened"
    opened = []
    @classmethod
    def create(cls, fn:Path, **kwargs):
        cls.opened.append(fn)
        return super().create(fn, **kwargs)

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return draw_world(tmp_path_factory.mktemp('data')/'world', train=10, valid=N//2, test=1, classes=['house', 'cup'], size=32)

@pytest.fixture(params=[(0, (0, 90, 180, 270)), (0, (0, 90, 180)), (2, (0, 90, 180, 270))], ids=['4 angles', '3 angles', '2 workers'])
def learn(request, world):
    workers, angles = request.param
    dls = RotationDataLoaders.from_folder(world, angles=angles, bs=5, num_workers=workers, item_tfms=Resize(32), batch_tfms=aug_transforms(size=24))
    learn = rotation_learner(dls)
    learn.remove_cb(ProgressCallback)
    with learn.no_logging(): learn.fit(1, 1e-3)
    return learn

@pytest.mark.parametrize('size', [(48, 48), (64, 40), (37, 90)])
def test_rotate_is_pillows_and_torchvisions(size):
    im = draw_picture('house', 3).resize(size)
    x = tensor(np.array(im)).permute(2, 0, 1)
    for a in (*np.arange(-355, 720, 11.), 1e-6, 89.99, 90.01, 269):
        turn = lambda o: tv_rotate(o, a, InterpolationMode.BILINEAR)
        inside = turn(torch.ones(1, *x.shape[1:]))[0] > .9999
        pillow = tensor(np.array(im.rotate(a, Image.Resampling.BILINEAR))).permute(2, 0, 1)
        ours = rotate(x, a)
        assert (ours.dtype, ours.shape) == (torch.uint8, x.shape)
        assert (ours.int() - pillow.int())[:, inside].abs().max() <= 1
        assert (rotate(x.float(), a) - turn(x.float()))[:, inside].abs().max() < .05

@pytest.mark.parametrize('quarter', [-90, 0, 90, 180, 270, 360])
def test_near_a_quarter_turn_is_nearly_the_quarter_turn(quarter):
    x = torch.rand(2, 3, 33, 33)
    for d in (1e-3, -1e-3): assert torch.allclose(rotate(x, quarter + d), rotate(x, quarter), atol=1e-2)

def test_two_turns_add_up():
    ramp, inside = torch.linspace(0, 1, 33), circle_mask(33).bool()
    smooth = (ramp[:, None]*ramp**2)[None]
    difference = rotate(rotate(smooth, 30), 25) - rotate(smooth, 55)
    assert difference[:, inside].abs().max() < .01

@pytest.mark.parametrize('dtype', [torch.uint8, torch.int16, torch.bool, torch.float16, torch.bfloat16, torch.float64])
def test_rotate_keeps_the_number_type(dtype):
    x = (torch.rand(3, 16, 16)*200).to(dtype)
    assert rotate(x, 30).dtype == dtype and rotate(x, 90).dtype == dtype
    assert type(rotate(TensorImage(x), 30)) is TensorImage
    assert (rotate(torch.ones(3, 16, 16).to(dtype), 30).float() - 1).abs().max() < 1e-6

@pytest.mark.parametrize('angle', [float('nan'), float('inf'), -float('inf')])
def test_rotate_wants_a_finite_angle(angle):
    with pytest.raises(InputError, match='finite'): rotate(torch.rand(3, 8, 8), angle)

def test_no_invented_pixel_shows_through_the_circle():
    inside = circle_mask(24).bool()
    assert all(torch.equal(rotate(inside, a), inside) for a in (90, 180, 270))
    for a in range(1, 90, 7):
        seen = tv_rotate(torch.ones(1, 24, 24), a, InterpolationMode.BILINEAR)[0]
        assert (seen[inside] > .9999).all()

@pytest.mark.parametrize('angles', [
    '09', ['0', '90'], [0, None], [0, float('nan')], [0, float('inf')], [0], 90, [0, -1e-20], [0, 90, 450]])
def test_angles_that_are_none(angles):
    with pytest.raises(InputError): check_angles(angles)

def test_views_at_neighbouring_angles_differ(world):
    dls = RotationDataLoaders.from_folder(world, angles=(0, 90, 269), bs=4, num_workers=0)
    x = dls.valid.one_batch()[0][:3]
    assert (x[1] - x[2]).abs().mean() > .5*(x[1] - x[0]).abs().mean()

def block(angles, *more):
    return DataBlock((ImageBlock(PILUpright), RotationBlock(angles), *more), get_items=picture_files,
                     splitter=GrandparentSplitter(), item_tfms=Resize(32))

@pytest.mark.parametrize('angles', [(0, 180), (0, 90, 180), (0, 90, 180, 270)], ids=len)
@pytest.mark.parametrize('make', [
    lambda b, w: b.weighted_dataloaders(w, wgts=np.ones(30), num_workers=0),
    lambda b, w: b.datasets(w).partial_dataloaders(4, after_item=b.item_tfms, after_batch=b.batch_tfms, num_workers=0),
    lambda b, w: b.dataloaders(w, dl_type=TfmdDL, num_workers=0)], ids=['weighted', 'partial', 'plain'])
def test_loaders_that_do_not_deal_the_turns_are_refused(world, angles, make):
    with pytest.raises(InputError, match='deal out the turns'): make(block(angles), world).train.one_batch()

def test_a_third_block_is_refused(world):
    more = DataBlock((ImageBlock(PILUpright), RotationBlock, CategoryBlock), get_items=picture_files, n_inp=1,
                     get_y=[parent_label, parent_label], splitter=GrandparentSplitter(), item_tfms=Resize(32))
    with pytest.raises(InputError, match='3 blocks'): more.dataloaders(world, num_workers=0)

def test_some_of_the_items_keep_their_turns(world):
    dls = RotationDataLoaders.from_folder(world, bs=5, num_workers=0)
    items = dls.valid.items
    for at in (slice(3), slice(2, 20, 3), [5, 0], tensor([5, 0]), np.array([5, 0]), items_mask(len(items))):
        part, want = items[at], L(range(len(items)))[at]
        assert isinstance(part, Views) and part.targets == [i % 4 for i in want]
        batch = dls.test_dl(part, with_labels=True).one_batch()
        assert batch[1].tolist() == part.targets[:len(batch[1])]

def items_mask(n): return [i % 3 == 0 for i in range(n)]

def test_loaders_take_each_argument_that_they_show(world):
    files = picture_files(world/'train')
    calls = {'from_folder': (world,), 'from_path_func': (world, files), 'from_lists': (world, files[:12], files[12:]),
             'from_df': (pd.DataFrame({'name': map(str, files)}), '/')}
    for name, given in calls.items():
        f = getattr(RotationDataLoaders, name)
        for p in list(inspect.signature(f).parameters.values())[len(given):]:
            dls = f(*given, num_workers=0, **{'item_tfms': Resize(32), p.name: p.default})
            assert dls.valid.one_batch()[0].shape[1:] == (3, 32, 32), (name, p.name)

def test_predictions_count_views(learn):
    k = learn.dls.c
    preds, targs = learn.get_preds()
    assert preds.shape == (N*k, k)
    assert learn.validate()[1] == pytest.approx((preds.argmax(1) == targs).float().mean().item())
    files = picture_files(learn.dls.path/'valid')
    assert len(learn.get_preds(dl=learn.dls.test_dl(files))[0]) == N
    assert len(learn.get_preds(dl=learn.dls.test_dl(files, with_labels=True))[0]) == N*k

def test_interpretation_shows_the_right_views(learn):
    k = learn.dls.c
    interp = ClassificationInterpretation.from_learner(learn)
    assert interp.confusion_matrix().sum(1).tolist() == [N]*k
    _, idx, items = interp.top_losses(5, items=True)
    assert items.targets == [i % k for i in idx.tolist()]
    inputs, _, targets, _, _ = interp[idx]
    every = torch.cat([b[0] for b in learn.dls.valid])
    assert torch.allclose(inputs, every[idx], atol=1e-5) and targets.tolist() == items.targets

def test_methods_for_people(learn, tmp_path):
    learn.dls.show_batch()
    learn.show_results()
    learn.summary()
    learn.lr_find(num_it=5, show_plot=False)
    file = picture_files(learn.dls.path/'valid')[0]
    angle, _, probs = learn.predict(file)
    assert angle in learn.dls.vocab and len(probs) == learn.dls.c
    learn.export(tmp_path/'model.pkl')
    exported = (tmp_path/'model.pkl').read_bytes()
    assert not [f for f in picture_files(learn.dls.path) if f.name.encode() in exported], 'a path of a picture'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        again = load_learner(tmp_path/'model.pkl')
    assert again.predict(file)[0] == angle

def test_one_epoch_opens_each_file_once(world):
    dls = RotationDataLoaders.from_folder(world, bs=5, num_workers=0, img_cls=Counting)
    Counting.opened.clear()
    views = sum(len(b[0]) for b in dls.train)
    assert views == 4*20 and sorted(Counting.opened) == picture_files(world/'train')

def test_frozen_encoder_stands_still(world):
    dls = ImageDataLoaders.from_folder(world, bs=5, num_workers=0, img_cls=PILUpright)
    learn = transfer_learner(dls, freeze=True)
    before = {k: v.clone() for k, v in learn.model[0].state_dict().items()}
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    assert all(torch.equal(v, before[k]) for k, v in learn.model[0].state_dict().items())

@pytest.mark.parametrize('workers', [0, 2])
def test_files_that_break_in_the_night(world, tmp_path, workers):
    shutil.copytree(world, tmp_path/'world')
    k, bad = 4, {s: picture_files(tmp_path/'world'/s)[1] for s in ('train', 'valid')}
    dls = RotationDataLoaders.from_folder(tmp_path/'world', bs=5, num_workers=workers, item_tfms=Resize(32))
    learn = rotation_learner(dls)
    learn.remove_cb(ProgressCallback)
    bad['train'].unlink(), bad['valid'].write_bytes(b'torn')
    with learn.no_logging(): learn.fit(1, 1e-3)
    assert (dls.train.broken, dls.valid.broken) == ([bad['train']], [bad['valid']])
    views = torch.cat([b[1] for b in dls.train])
    assert len(views) == 4*20 and (views >= 0).all(), 'replaced in training'
    preds, targs, losses = learn.get_preds(with_loss=True)
    at = dls.valid.dataset.items.index(bad['valid'])
    own = torch.ones(N*k, dtype=torch.bool)
    own[at*k:at*k + k] = False
    assert preds.shape == (N*k, k) and (targs[own] >= 0).all() and (targs[~own] == INVALID).all()
    loss, acc = learn.validate()
    assert acc == pytest.approx((preds.argmax(1) == targs)[own].float().mean().item())
    assert loss == pytest.approx(losses[own].mean().item(), rel=1e-4)
    interp = ClassificationInterpretation.from_learner(learn)
    assert interp.confusion_matrix().sum() == (N - 1)*k
    learn.show_results(max_n=N*k)
    test = dls.test_dl(picture_files(tmp_path/'world'/'valid'))
    assert len(learn.get_preds(dl=test)[0]) == N and test.broken == [bad['valid']]

def test_validation_survives_the_loss_of_a_whole_batch(world, tmp_path):
    shutil.copytree(world, tmp_path/'world')
    dls = RotationDataLoaders.from_folder(tmp_path/'world', bs=2, val_bs=2, num_workers=0, item_tfms=Resize(32))
    learn = rotation_learner(dls)
    files = dls.valid.dataset.items
    for f in files[:2]: f.unlink()
    with learn.no_bar(): loss, acc = learn.validate()
    assert 0 < loss < 9 and 0 <= acc <= 1 and dls.valid.broken == list(files[:2])
    for f in files[2:]: f.unlink()
    with learn.no_bar(), pytest.raises(InputError, match='disk'): learn.validate()
