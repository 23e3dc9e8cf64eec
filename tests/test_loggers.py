"fastai's loggers: with any learner, and in runs that are stopped and go on."
import json
import logging
import os
import signal
import sys
import types
from contextlib import contextmanager
from multiprocessing import get_context

import pandas as pd
import pytest
from fastai.callback.tensorboard import TensorBoardCallback
from fastai.vision.all import CSVLogger, ImageDataLoaders, Resize, noop
from selfsup import cli
from selfsup.data.drawn import draw_world
from selfsup.errors import InputError
from selfsup.pretext.learner import pretext_learner
from selfsup.pretext.pretrain import pretrain
from selfsup.pretext.rotation import RotationDataLoaders
from selfsup.transfer.learner import transfer_learner
from selfsup.transfer.resume import KeepTraining
from selfsup.transfer.training import CountViews
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

logging.getLogger('tensorboard').setLevel('ERROR')
EPOCHS, BATCHES = 4, 4 # of training
SHORT = dict(size=16, epochs=EPOCHS, bs=8, log=('csv', 'tensorboard'), say=noop)

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    os.environ['XDG_CACHE_HOME'] = str(tmp_path_factory.mktemp('cache'))
    out = tmp_path_factory.mktemp('data')/'world'
    return draw_world(out, train=16, valid=4, test=2, classes=['house', 'car'], size=16)

@pytest.fixture
def train(world, tmp_path):
    def _train(out, log=('csv', 'tensorboard'), **kwargs):
        return pretrain(world, tmp_path/out, **SHORT | dict(log=log) | kwargs)
    return _train

def table(out): return pd.read_csv(out/'history.csv')
def scalars(out):
    "Step and value of every point of every curve"
    events = EventAccumulator(str(out/'tensorboard'), size_guidance={'scalars': 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}
def same_logs(a, b):
    pd.testing.assert_frame_equal(table(a).drop(columns='time'), table(b).drop(columns='time'))
    return scalars(a) == scalars(b)

# With any learner

@pytest.mark.parametrize('task', ['pretext', 'transfer'])
def test_fastais_loggers_work_with_both_learners(world, tmp_path, task):
    cbs = [CSVLogger(tmp_path/'history.csv'), TensorBoardCallback(tmp_path/'tensorboard')]
    if task == 'pretext': learn = pretext_learner(RotationDataLoaders.from_folder(world, bs=8, num_workers=0), cbs=cbs)
    else:
        dls = ImageDataLoaders.from_folder(world, bs=8, num_workers=0, item_tfms=Resize(16))
        learn = transfer_learner(dls, cbs=cbs)
    with learn.no_bar(), learn.no_logging(): learn.fit(2)
    assert [*map(list, table(tmp_path).iloc[:, 1:-1].values)] == [*map(pytest.approx, map(list, learn.recorder.values))]
    assert len(scalars(tmp_path)['valid_loss']) == 2

# In a run

@pytest.fixture(scope='module')
def whole(world, tmp_path_factory):
    out = tmp_path_factory.mktemp('whole')
    pretrain(world, out/'logged', **SHORT)
    return out/'logged'

def test_a_logged_run_is_the_run_without_loggers(train, whole):
    assert train('plain', log=None).read_bytes() == (whole/'encoder.safetensors').read_bytes()

def test_the_table_and_the_curves_hold_the_history(whole):
    rows, curves = table(whole), scalars(whole)
    history = pd.DataFrame(json.loads((whole/'result.json').read_text())['history'])
    assert [*rows] == ['epoch', 'train_loss', 'valid_loss', 'accuracy', 'time'] and [*rows.epoch] == [*range(EPOCHS)]
    assert rows.iloc[:, 1:-1].values == pytest.approx(history.values)
    assert [step for step, _ in curves['train_loss']] == [*range(1, EPOCHS*BATCHES + 1)]
    assert curves['accuracy'] == [(BATCHES*(i + 1), pytest.approx(a)) for i, a in enumerate(rows.accuracy)]

@contextmanager
def ended_in(monkeypatch, where, epoch):
    "A training ends in the third batch of an epoch, or when its row is written and its state is not kept, or is"
    keep, count = KeepTraining._keep, CountViews.after_batch
    def stop_in_batch(self):
        if self.training and (self.epoch, self.iter) == (epoch, 2): raise KeyboardInterrupt
        count(self)
    def stop_in_keep(self):
        if where == 'kept' or self.epoch < epoch: keep(self)
        if self.epoch == epoch: raise KeyboardInterrupt
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        if where == 'batch': m.setattr(CountViews, 'after_batch', stop_in_batch)
        else: m.setattr(KeepTraining, '_keep', stop_in_keep)
        yield

@pytest.mark.parametrize('where, epochs', [('batch', [3]), ('batch', [1, 1]), ('logged', [3]), ('logged', [1, 2]),
                                           ('kept', [1, 2])])
def test_a_run_that_goes_on_has_each_row_once(train, whole, tmp_path, monkeypatch, where, epochs):
    for i, epoch in enumerate(epochs):
        with ended_in(monkeypatch, where, epoch): train('parts', resume=i > 0)
    train('parts', resume=True)
    assert same_logs(tmp_path/'parts', whole)

def killed(world, out):
    "A training whose process is killed when the state of its second epoch is kept"
    keep = KeepTraining._keep
    def die(self):
        keep(self)
        if self.epoch == 1: os.kill(os.getpid(), signal.SIGKILL)
    KeepTraining._keep = die
    pretrain(world, out, **SHORT)

def test_what_is_kept_is_logged_though_the_process_is_killed(train, world, whole, tmp_path):
    process = get_context('spawn').Process(target=killed, args=(world, tmp_path/'parts'))  # a fork would have no threads
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and len(table(tmp_path/'parts')) == 2
    assert scalars(tmp_path/'parts')['valid_loss'] == scalars(whole)['valid_loss'][:2]
    train('parts', resume=True)
    assert same_logs(tmp_path/'parts', whole)
    seconds = [f.name.split('.')[3] for f in (tmp_path/'parts'/'tensorboard').glob('events.*')]
    assert len(set(seconds)) == len(seconds) == 2  # by these TensorBoard knows which file is the first

def test_the_times_of_the_first_part_stay(train, tmp_path, monkeypatch):
    keep = KeepTraining._keep
    def slow(self):
        self.began -= 3600
        keep(self)
    monkeypatch.setattr(KeepTraining, '_keep', slow)
    with ended_in(monkeypatch, 'kept', 1): train('parts', log='csv')
    train('parts', log='csv', resume=True)
    assert [*table(tmp_path/'parts').time.str.startswith('1:00')] == [True, True, False, False]

def test_a_run_that_was_finished_but_for_its_results_logs_nothing_more(train, whole, tmp_path):
    def stop(line):
        if ' after ' in str(line): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): train('parts', say=stop)
    train('parts', resume=True)
    assert same_logs(tmp_path/'parts', whole)

def test_a_run_that_kept_nothing_leaves_no_log(train, tmp_path, monkeypatch):
    with ended_in(monkeypatch, 'logged', 0): train('parts')
    assert not (tmp_path/'parts').exists()

def test_a_run_that_was_killed_before_it_kept_anything_begins_anew(train, whole, tmp_path):
    (tmp_path/'parts'/'unfinished').mkdir(parents=True)
    (tmp_path/'parts'/'history.csv').write_text('epoch,train_loss\n0,1.5\n')
    with SummaryWriter(tmp_path/'parts'/'tensorboard') as board:
        for step in range(1, 3): board.add_scalar('train_loss', 7., step)
    train('parts')
    assert same_logs(tmp_path/'parts', whole)

# What is asked for

@pytest.mark.parametrize('log, said', [('cvs', "'cvs' is no logger; there is csv, tensorboard, wandb"),
                                       (['csv', 'tensorboard'], r"pip install 'selfsup\[tensorboard\]'"),
                                       ('wandb', r"pip install 'selfsup\[wandb\]'")])
def test_what_cannot_be_logged_is_refused_before_a_photo_is_opened(train, tmp_path, monkeypatch, log, said):
    for name in ('tensorboard', 'wandb'):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f'fastai.callback.{name}', raising=False)
    with pytest.raises(InputError, match=said): train('out', log=log, say=pytest.fail)
    assert not (tmp_path/'out').exists()

def test_a_run_goes_on_with_its_loggers(train, monkeypatch):
    with ended_in(monkeypatch, 'kept', 1): train('parts', log='csv')
    with pytest.raises(InputError, match='log was'): train('parts', log=None, resume=True)

def test_at_the_command_line(world, tmp_path):
    with pytest.raises(SystemExit) as e:
        cli.main(f'pretrain {world} --out {tmp_path}/out --size 16 --epochs 2 --log csv,tensorboard,csv'.split())
    assert e.value.code == 0 and len(table(tmp_path/'out')) == 2
    assert len(scalars(tmp_path/'out')['valid_loss']) == 2

# Weights & Biases

class Account:
    "Stands in for wandb: what fastai's callback calls, and what it was told"
    class Error(Exception): pass
    def __init__(self): self.runs = []
    def init(self, group, config):
        self.run = types.SimpleNamespace(step=0, group=group, settings=config, rows={}, code=None)
        self.config = types.SimpleNamespace(update=lambda config, **kwargs: self.run.settings.update(config))
        self.runs.append(self.run)
    def log(self, row, step=None):
        if row: self.run.rows.setdefault(step, {}).update({k: float(v) for k, v in row.items()})
    def finish(self, exit_code): self.run.code = exit_code

@pytest.fixture
def account(monkeypatch):
    account = Account()
    monkeypatch.setitem(sys.modules, 'wandb', account)
    monkeypatch.delitem(sys.modules, 'fastai.callback.wandb', raising=False)
    yield account
    sys.modules.pop('fastai.callback.wandb', None)

def timeless(rows): return {step: {k: v for k, v in row.items() if 'per_sec' not in k} for step, row in rows.items()}

def test_a_run_of_weights_and_biases(account, train, whole):
    file = train('out', log='wandb')
    run, = account.runs
    assert file.read_bytes() == (whole/'encoder.safetensors').read_bytes()
    settings = json.loads((file.parent/'result.json').read_text())['settings']
    assert (run.group, run.settings, run.code) == ('out', settings | {'epochs': EPOCHS}, 0)
    assert [*run.rows] == [*range(EPOCHS*BATCHES)]
    ends = [run.rows[BATCHES*(i + 1) - 1] for i in range(EPOCHS)]
    assert [row['epoch'] for row in ends] == [1, 2, 3, 4]
    assert [row['accuracy'] for row in ends] == pytest.approx([*table(whole).accuracy])

@pytest.mark.parametrize('where', ['batch', 'logged', 'kept'])
def test_a_run_that_goes_on_is_a_second_one_of_its_group(account, train, monkeypatch, where):
    train('whole', log='wandb')
    with ended_in(monkeypatch, where, 1): train('parts', log='wandb')
    train('parts', log='wandb', resume=True)
    whole, first, second = account.runs
    assert (first.group, first.code, second.group, second.code) == ('parts', 1, 'parts', 0)
    assert min(second.rows) == BATCHES*(2 if where == 'kept' else 1)
    assert timeless(first.rows | second.rows) == timeless(whole.rows)

def test_an_account_that_is_not_there(account, train, tmp_path, monkeypatch):
    def refuse(**kwargs): raise account.Error('no API key')
    monkeypatch.setattr(account, 'init', refuse)
    with pytest.raises(InputError, match='no API key. Without an account: WANDB_MODE=offline'):
        train('out', log='wandb', say=pytest.fail)
    assert not (tmp_path/'out').exists()
