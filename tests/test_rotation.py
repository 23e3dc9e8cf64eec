"Stock fastai methods on the rotation task: every one counts N pictures × k angles."
import shutil
import warnings
import pytest
from selfsup.all import *
from selfsup.errors import InputError
from fastai.vision.all import ClassificationInterpretation, ImageDataLoaders, Path, ProgressCallback, Resize, aug_transforms, load_learner, torch
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
    assert items.turns == [i % k for i in idx.tolist()]
    inputs, _, targets, _, _ = interp[idx]
    every = torch.cat([b[0] for b in learn.dls.valid])
    assert torch.allclose(inputs, every[idx], atol=1e-5) and targets.tolist() == items.turns

def test_methods_for_people(learn, tmp_path):
    learn.dls.show_batch()
    learn.show_results()
    learn.summary()
    learn.lr_find(num_it=5, show_plot=False)
    file = picture_files(learn.dls.path/'valid')[0]
    angle, _, probs = learn.predict(file)
    assert angle in learn.dls.vocab and len(probs) == learn.dls.c
    learn.export(tmp_path/'model.pkl')
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
