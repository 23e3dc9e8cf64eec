"Pretext tasks: what holds of every task that has a name, and of one that nobody has heard of."
import json
import shutil
from itertools import permutations

import pytest
from selfsup.all import *
from selfsup.checks.suitability import suitability
from selfsup.errors import InputError
from PIL import Image
from fastai.vision.all import (
    DataBlock, GrandparentSplitter, ImageBlock, IndexSplitter, Normalize, Resize, TensorImage, TransformBlock,
    aug_transforms, imagenet_stats, noop, set_seed, torch)

ALL = pytest.mark.parametrize('name', TASKS)

class Channels(PretextTask):
    "In which order are the colour channels?"
    name, target = 'channels', 'order'
    orders = list(permutations(range(3)))
    vocab = [''.join('RGB'[i] for i in o) for o in orders]
    def __init__(self, k_train:int=2): self.k_train = k_train
    def views(self, x, target, training):
        which = torch.tensor(self.orders, device=x.device)[target]
        return x.gather(1, which[..., None, None].expand_as(x))

class Unmeasured(Channels):
    "The same, of which nobody knows the chance level"
    name, chance = 'unmeasured', None

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp('data')/'world'
    return draw_world(path, train=40, valid=5, test=1, classes=['house', 'cup'], size=32)

def photo_dls(path, task, **kwargs):
    block = DataBlock((ImageBlock(PILUpright), task.block()), get_items=picture_files, splitter=GrandparentSplitter(),
                      item_tfms=Resize(32), batch_tfms=aug_transforms())
    return block.dataloaders(path, **{'bs': 5, 'num_workers': 0, 'device': 'cpu', **kwargs})

def made_dls(task, make, train, valid):
    "Loaders of pictures that `make` makes of their numbers"
    tfms = Normalize.from_stats(*imagenet_stats, cuda=False)
    block = DataBlock((TransformBlock(type_tfms=make, batch_tfms=tfms), task.block()),
                      splitter=IndexSplitter(range(train, train + valid)))
    return block.dataloaders(list(range(train + valid)), bs=16, val_bs=16, num_workers=0, device='cpu')

def of_each(seed, shape):
    return TensorImage(torch.rand(shape, generator=torch.Generator().manual_seed(seed)).expand(3, 16, 16))

def one_colour(seed:int): return of_each(seed, (3, 1, 1))
def noise(seed:int): return of_each(seed, (3, 16, 16))

def trained(dls, epochs=1):
    set_seed(0)
    learn = pretext_learner(dls)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, 5e-3)
    return learn

# What holds of every task

@ALL
def test_pictures_of_one_colour_give_exactly_chance(name):
    task = as_task(name)
    learn = trained(made_dls(task, one_colour, 64, 32))
    with learn.no_bar(): probs, truth = learn.get_preds()
    right = (probs.argmax(1) == truth).view(-1, task.c)
    assert len(right) == 32 and (right.sum(1) == 1).all()
    with learn.no_bar(): assert learn.validate()[1] == pytest.approx(task.chance)

@ALL
def test_noise_gives_chance(name):
    task = as_task(name)
    learn = trained(made_dls(task, noise, 128, 2000), epochs=2)
    with learn.no_bar(): probs, truth = learn.get_preds()
    mean, error = by_picture((probs.argmax(1) == truth).numpy(), task.c)
    assert abs(mean - task.chance) <= 2.6*error and 0 < error < .01

@ALL
def test_validation_is_the_same_each_time_and_training_is_not(name, world):
    dls = photo_dls(world, as_task(name))
    first, second = ([b[0] for b in dls.valid] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not torch.equal(dls.train.one_batch()[0], dls.train.one_batch()[0])

@ALL
def test_views_keep_type_and_shape(name):
    task, x = as_task(name), torch.rand(3, 3, 33, 33)
    for training in (True, False):
        out = task.views(x.clone(), torch.arange(3) % task.c, training)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)

@ALL
def test_a_task_is_made_again_from_its_options(name):
    task = as_task(name)
    again = type(task)(**task.options())
    assert again.meta() == task.meta() == json.loads(json.dumps(task.meta())) and task.meta()['name'] == name

@ALL
@pytest.mark.parametrize('workers', [0, 2])
def test_photos_that_break(name, workers, world, tmp_path):
    shutil.copytree(world, tmp_path/'world')
    task, bad = as_task(name), picture_files(tmp_path/'world'/'valid')[1]
    dls = photo_dls(tmp_path/'world', task, num_workers=workers)
    learn = pretext_learner(dls)
    bad.unlink()
    with learn.no_bar(): probs, truth = learn.get_preds()
    assert probs.shape == (10*task.c, task.c) and (truth == INVALID).sum() == task.c and dls.valid.broken == [bad]
    shown = task.k_train or task.c
    assert sum(len(y) for _, y in dls.train) == 80*shown
    assert all(len(set(v.tolist())) == shown for _, y in dls.train for v in y.split(shown))

@ALL
def test_weights_do_not_depend_on_where_the_photos_lie(name, world):
    "The photos are opened each time they are needed, or some are kept in memory, or all"
    def weights(kept):
        opener = OpenSquare(32, room=kept*3*32*32)
        dls = pretext_dls(read_photos(world), opener, name, bs=20, say=noop)
        assert len(opener.kept) == min(kept, 90)
        return train_pretext(dls, epochs=1).model.state_dict()
    none, some, all_of_them = map(weights, (0, 50, 1000))
    for key, value in none.items():
        assert torch.equal(value, some[key]) and torch.equal(value, all_of_them[key]), key

def test_unknown_tasks_are_named():
    for wrong in ('rotatoin', None, 3, Channels):
        with pytest.raises(InputError, match='name of a task .rotation'): as_task(wrong)

# A task that nobody has heard of

def test_another_task_is_pretrained_and_written_down(world, tmp_path):
    lines = []
    file = pretrain(world, tmp_path/'pre', size=16, epochs=1, pretext=Channels(3), say=lines.append)
    result = json.loads((tmp_path/'pre'/'result.json').read_text())
    assert result['settings']['pretext'] == load_encoder(file).meta['pretext'] == {'name': 'channels', 'k_train': 3}
    assert set(result['history'][0]) == {'train_loss', 'valid_loss', 'channels_accuracy'}
    assert result['chance'] == pytest.approx(1/6) and 0 <= load_encoder(file).meta['channels_accuracy'] <= 1
    assert any('by channels' in str(l) for l in lines) and any('channels accuracy' in str(l) for l in lines)
    assert training_views(pretext_dls(read_photos(world), OpenSquare(16), Channels(3), bs=10)) == 3*80*3 + 10*6

def test_a_task_without_chance(world, tmp_path):
    file = pretrain(world, tmp_path/'pre', size=16, epochs=1, pretext=Unmeasured(), say=noop)
    assert json.loads((file.parent/'result.json').read_text())['chance'] is None
    with pytest.raises(InputError, match='no chance level'): suitability(world, pretext=Unmeasured(), say=noop)

@pytest.mark.parametrize('task', [Channels(), Unmeasured()], ids=lambda task: task.name)
def test_watching_another_task(world, task):
    photos, opener = read_photos(world), OpenSquare(16)
    watch = WatchFeatures(photos, opener, labels=5)
    learn = pretext_learner(pretext_dls(photos, opener, task))
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3, cbs=watch)
    table = watch.table()
    assert table[f'{task.name} accuracy'].iloc[-1] == pytest.approx(learn.recorder.values[-1][-1], abs=1e-6)
    watch.plot().draw_without_rendering()

@pytest.mark.parametrize('pretext', [*TASKS, Channels()], ids=str)
def test_suitability_asks_any_task(world, pretext):
    res = suitability(world, size=16, n=40, n_ask=20, epochs=1, pretext=pretext, say=noop)
    task = as_task(pretext)
    assert res.probs.shape == (20, task.c, task.c) and f'{task.metric_name} %' in res.table()
    assert ('looks like its turn' in res.table()) == (task.name == 'rotation')
    assert f'of the {task.target}s' in res.sentences()[1] and task.name in res.report().html()

def test_rotation_learner_wants_rotation(world):
    with pytest.raises(InputError, match='channels; pretext_learner'): rotation_learner(photo_dls(world, Channels()))

class Mirror(PretextTask):
    "Was it mirrored? A random mirror image would make half of the targets wrong"
    name, target, vocab = 'mirror', 'side', ('as it is', 'mirrored')
    def augment(self): return augmentation(do_flip=False)
    def views(self, x, target, training): return torch.where((target == 1)[:, None, None, None], x.flip(-1), x)

def test_a_task_gives_the_augmentation_that_leaves_its_targets_right(tmp_path):
    for split, n in (('train', 16), ('valid', 4)):
        for i in range(n):
            (tmp_path/split/'a').mkdir(parents=True, exist_ok=True)
            im = Image.new('RGB', (32, 32), (i, 0, 0))
            im.paste((255 - i, 255, 255), (16, 0, 32, 32))
            im.save(tmp_path/split/'a'/f'{i}.png')
    def share_right(task):
        x, y = pretext_dls(read_photos(tmp_path, labelled=False), OpenSquare(32), task, bs=16, say=noop).train.one_batch()
        left_is_bright = x[..., :16].mean((1, 2, 3)) > x[..., 16:].mean((1, 2, 3))
        return (left_is_bright == (y == 1).to(x.device)).float().mean().item()
    class Careless(Mirror):
        def augment(self): return augmentation()
    assert share_right(Mirror()) == 1 and share_right(Careless()) < 1
