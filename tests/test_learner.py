"Both learners: encoder and normalisation, frozen stages, and trainings that must not go on."
import inspect
import warnings
import numpy as np
import pytest
from selfsup.all import *
from selfsup.models import encoder, features, heads, normalization as norms
from selfsup.pretext import learner as learner_page, loaders as pretext_loaders, rotation, watched_features
from selfsup.transfer import learner as transfer, probes
from selfsup.errors import InputError
from selfsup.models.heads import EncoderWithHead, by_depth, linear_head
from selfsup.models.saved import as_encoder
from selfsup.transfer.training import FiniteLoss, FrozenEncoder, encoder_learner
from fastai.callback.channelslast import ChannelsLast
from fastai.vision.all import (
    BnFreeze, Callback, CancelBatchException, CancelStepException, GradientAccumulation, ImageDataLoaders, Learner,
    MixedPrecision, Normalize, Path, ProgressCallback, Recorder, imagenet_stats, load_learner, nn, torch, trainable_params)

HALF = dict(mean=[.5]*3, std=[.25]*3)

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp('data')/'world'
    return draw_world(path, train=10, valid=4, test=1, classes=['house', 'cup'], size=32)

def turned(world, **kwargs):
    return RotationDataLoaders.from_folder(world, **{'bs': 5, 'num_workers': 0, 'device': 'cpu', **kwargs})

def labelled(world, **kwargs):
    kwargs = {'bs': 5, 'num_workers': 0, 'device': 'cpu', 'img_cls': PILUpright, **kwargs}
    return ImageDataLoaders.from_folder(world, **kwargs)

@pytest.fixture(params=[rotation_learner, transfer_learner], ids=['rotation', 'transfer'])
def make(request, world):
    "Makes a quiet learner of one kind or the other"
    def _make(bs=5, **kwargs):
        dls = (turned if request.param is rotation_learner else labelled)(world, bs=bs)
        learn = request.param(dls, path=world.parent, **kwargs)
        learn.logger = lambda *args: None
        return learn.remove_cb(ProgressCallback) if hasattr(learn, 'progress') else learn
    return _make

def state(model): return {k: v.clone() for k, v in model.state_dict().items()}
def same(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)

# Encoders

def test_a_folder_named_like_an_architecture_is_not_taken_for_it(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    enc = create_encoder('small')
    save_encoder(enc, 'small')
    fresh = transfer_learner(labelled(world), 'small').model[0]
    assert not torch.equal(fresh[0][0].weight, enc[0][0].weight)
    for name in ('./small', Path('small'), 'small/encoder.safetensors'):
        assert same(state(as_encoder(name)), state(enc)), name

def test_the_encoder_given_is_copied(make):
    enc = create_encoder('small')
    before, meta = state(enc), dict(enc.meta)
    make(**{'arch' if make().dls.vocab[0] == 0 else 'encoder': enc}).fit(1, 1e-2)
    assert same(state(enc), before) and enc.meta == meta

def test_training_goes_on_from_a_saved_encoder(world, tmp_path):
    enc = create_encoder('nin3')
    enc.meta['normalization'] = HALF
    save_encoder(enc, tmp_path/'run', size=16, rotation_accuracy=.9)
    dls = turned(world, angles=(0, 180))
    learn = rotation_learner(dls, tmp_path/'run')
    assert same(state(learn.model[0]), state(enc))
    assert learn.model[0].meta == dict(arch='nin3', family='own', stages=3, size=32, pretext={'name': 'rotation', 'angles': [0, 180]},
                                       normalization=HALF)
    with pytest.raises(InputError, match='pretrained'): rotation_learner(dls, tmp_path/'run', pretrained=True)

def test_what_is_no_encoder_and_no_angle(world):
    with pytest.raises(InputError, match=r'learn.model\[0\]'): as_encoder(nn.Sequential(nn.Conv2d(3, 8, 3)))
    with pytest.raises(InputError, match='angles'): rotation_learner(labelled(world))

# Normalisation

def normalization(dls):
    fs = [f for dl in dls.loaders for f in dl.after_batch.fs if isinstance(f, Normalize)]
    return [dict(mean=f.mean.flatten().tolist(), std=f.std.flatten().tolist()) for f in fs]

IMAGENET = dict(zip(('mean', 'std'), map(list, imagenet_stats)))

@pytest.mark.parametrize('meta, want', [
    ({}, [IMAGENET]*2), ({'normalization': None}, []), ({'normalization': HALF}, [HALF]*2)],
    ids=['unknown', 'without', 'with'])
def test_loaders_get_what_the_encoder_says(world, tmp_path, meta, want):
    save_encoder(create_encoder(), tmp_path, **meta)
    dls = transfer_learner(labelled(world), tmp_path).dls
    got = normalization(dls)
    assert len(got) == len(want)
    for g, w in zip(got, want): assert np.allclose([g['mean'], g['std']], [w['mean'], w['std']])
    files = picture_files(world/'valid')
    x = torch.stack([OpenSquare(32)(f) for f in files]).float()/255
    if want: x = (x - torch.tensor(want[0]['mean'])[:, None, None])/torch.tensor(want[0]['std'])[:, None, None]
    enc = load_encoder(tmp_path).eval()
    with torch.no_grad(): by_hand = enc[0](x).mean((2, 3))
    assert np.allclose(file_features(enc, files, OpenSquare(32)).x[1], by_hand, atol=1e-5)

@pytest.mark.parametrize('meta', [None, HALF])
def test_loaders_that_scale_otherwise_are_refused(world, meta):
    enc = create_encoder()
    enc.meta['normalization'] = meta
    tfms, words = Normalize.from_stats(*imagenet_stats), 'but the encoder was trained'
    with pytest.raises(InputError, match=words): transfer_learner(labelled(world, batch_tfms=tfms), enc)
    with pytest.raises(InputError, match=words): rotation_learner(turned(world, batch_tfms=tfms), enc)
    if meta is None: return
    with pytest.raises(InputError, match='without normalisation'): rotation_learner(turned(world), enc, normalize=False)

def test_trained_without_stays_without(world, tmp_path):
    learn = rotation_learner(turned(world), normalize=False)
    assert normalization(learn.dls) == [] and learn.model[0].meta['normalization'] is None
    save_encoder(learn.model[0], tmp_path)
    assert normalization(rotation_learner(turned(world), tmp_path).dls) == []

def test_normalize_like_without_an_encoder(world):
    dls = turned(world)
    assert np.allclose(norms.normalize_like(dls)['mean'], IMAGENET['mean']) and len(normalization(dls)) == 2
    assert norms.normalize_like(dls) == norms.normalize_like(dls) and len(normalization(dls)) == 2

# Trainings that fail

def test_less_than_a_batch_is_refused(make):
    with pytest.raises(InputError, match='20 pictures, less than one batch of 21'): make(bs=21)

def diverge(learn, how):
    if how == 'fit': learn.fit(2, 1e30)
    elif how == 'fit_one_cycle': learn.fit_one_cycle(2, 1e30)
    else: learn.fine_tune(2, 1e30)

@pytest.mark.parametrize('how', ['fit', 'fit_one_cycle', 'fine_tune'])
def test_a_loss_that_is_no_number_ends_the_training(make, how):
    learn = make()
    words = r'^In epoch \d, the .* at a learning rate of .*lower one'
    with pytest.raises(InputError, match=words) as e: diverge(learn, how)
    assert '\n' not in str(e.value) and not learn.recorder.values

class Spoil(Callback):
    "Puts NaN where it is told to"
    def __init__(self, where): self.where = where
    def before_batch(self):
        if self.where == 'picture' and not self.training: self.learn.xb = (self.xb[0]*float('nan'),)
    def after_train(self):
        if self.where == 'statistics': self.model[0][0][1].running_var[0] = float('inf')
    def after_step(self):
        last = self.where == 'last step' and self.iter == self.n_iter - 1
        if last: self.model[0][1][0][0].weight.data[0] = float('nan')

@pytest.mark.parametrize('where, words', [
    ('picture', 'validation batch 1 of'), ('statistics', 'weights'), ('last step', 'weights')])
@pytest.mark.parametrize('recorder', [True, False])
def test_nothing_slips_through(make, where, words, recorder):
    learn = make(cbs=Spoil(where))
    if not recorder: learn.remove_cb(Recorder)
    with pytest.raises(InputError, match=words): learn.fit(1, 1e-3)

def test_lr_find_may_diverge_and_looking_may_show_it(make):
    learn = make()
    assert learn.lr_find(end_lr=1e30, num_it=20, stop_div=False, show_plot=False).valley > 0
    assert not np.isfinite([float(o) for o in learn.recorder.losses]).all()
    learn.fit(1, 1e-3)
    learn.model[1][-1].weight.data[:] = float('nan')
    assert np.isnan(learn.validate()[0]) and len(learn.get_preds()[0])

class Overflow(Callback):
    "The first step as in 16 bits, where a scaled gradient is too large and the step is left out"
    order = MixedPrecision.order
    def before_backward(self):
        if self.iter == 0: self.learn.loss_grad = self.loss_grad*float('inf')
    def before_step(self):
        if self.iter == 0: raise CancelStepException

def test_steps_left_out_in_mixed_precision_end_nothing(make):
    learn = make(cbs=Overflow())
    learn.fit(2, 1e-3)
    assert len(learn.recorder.values) == 2

# 16 bits

@pytest.fixture
def bf16(monkeypatch): monkeypatch.setattr(heads, 'has_bf16', lambda device: True)

def in_32_bits():
    product = torch.ones(2, 2) @ torch.ones(2, 2)
    return not torch.is_autocast_enabled('cpu') and product.dtype == torch.float32

def test_16_bits_within_and_32_outside(make, bf16):
    learn, seen = make(), []
    learn.model[0][0][0].register_forward_hook(lambda m, i, o: seen.append((m.training, o.dtype)))
    learn.fit(1, 1e-3)
    preds = learn.get_preds()[0]
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)} and preds.dtype == torch.float32
    assert {p.dtype for p in learn.model.parameters()} == {torch.float32} and in_32_bits()
    x = torch.rand(4, 3, 32, 32)
    with torch.no_grad(): assert learn.model.eval()(x).dtype == torch.float32 == learn.model[0](x).dtype

@pytest.mark.parametrize('error', [KeyboardInterrupt, RuntimeError, CancelBatchException])
def test_nothing_stays_in_16_bits(make, bf16, error):
    learn, calls = make(), []
    def stop(m, i, o):
        if not m.training: return
        assert torch.is_autocast_enabled('cpu')
        calls.append(o.dtype)
        if len(calls) == 2: raise error
    hook = learn.model[0][1].register_forward_hook(stop)
    if error is CancelBatchException: learn.fit(1, 1e-3)
    else:
        with pytest.raises(error): learn.fit(1, 1e-3)
    assert in_32_bits()
    hook.remove()
    learn.fit(1, 1e-3)
    assert in_32_bits()

def test_16_bits_are_close_to_32(bf16, monkeypatch):
    model, x = EncoderWithHead(create_encoder(), linear_head(128, 4)).eval(), torch.rand(4, 3, 32, 32)
    model.training = True # its parts stay as they are, so that both do the same
    with torch.no_grad(): quick = model(x)
    monkeypatch.setattr(heads, 'has_bf16', lambda device: False)
    with torch.no_grad(): exact = model(x)
    assert not torch.equal(quick, exact) and torch.allclose(quick, exact, atol=.05)

def test_predictions_do_not_depend_on_how_photos_are_batched(bf16):
    model, x = EncoderWithHead(create_encoder(), linear_head(128, 4)).eval(), torch.rand(7, 3, 32, 32)
    with torch.no_grad(): together, apart = model(x), torch.cat([model(part) for part in x.split(3)])
    assert torch.allclose(together, apart, atol=1e-5)

def test_an_exported_learner_works_where_the_instructions_are_missing(make, tmp_path, monkeypatch):
    monkeypatch.setattr(heads, 'has_bf16', lambda device: True)
    learn = make()
    learn.fit(1, 1e-3)
    learn.summary()
    learn.export(tmp_path/'model.pkl')
    monkeypatch.setattr(heads, 'has_bf16', lambda device: False)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        again = load_learner(tmp_path/'model.pkl')
    file = picture_files(learn.dls.path/'valid')[0]
    assert again.predict(file)[2].dtype == torch.float32
    assert isinstance(again.model[0], type(create_encoder()))

def test_mixed_precision_that_was_asked_for_is_the_one_that_counts(bf16):
    model, seen = EncoderWithHead(create_encoder(), linear_head(128, 4)), []
    model[0].register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    with torch.autocast('cpu', torch.float16): model(torch.rand(4, 3, 32, 32))
    model(torch.rand(4, 3, 32, 32))
    assert seen == [torch.float16, torch.bfloat16]

@pytest.mark.parametrize('capability, expected', [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_since_ampere_train_in_16_bits_and_channels_last(make, monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    gpu = torch.device('cuda', 0)
    assert heads.has_bf16(gpu) is expected
    dls = make().dls
    monkeypatch.setattr(type(dls), 'device', gpu)
    learn = encoder_learner(dls, create_encoder(), linear_head)
    assert any(isinstance(cb, ChannelsLast) for cb in learn.cbs) is expected

# Frozen stages

class Modes(Callback):
    "Which stages are in training mode, and which of their running statistics move"
    def means(self): return [m.running_mean.clone() for m in self.model[0].modules() if isinstance(m, nn.BatchNorm2d)]
    def before_train(self): self.before = self.means()
    def after_train(self):
        self.stages = [s.training for s in self.model[0]]
        self.moved = [not torch.equal(*means) for means in zip(self.before, self.means())]

def modes(learn, **kwargs):
    learn.fit(1, 1e-3, cbs=[seen := Modes()], **kwargs)
    return seen.stages, seen.moved

STILL, MOVING = ([False]*4, [False]*6), ([True]*4, [True]*6)

def test_frozen_stages_stand_still_and_no_others(world):
    learn = transfer_learner(labelled(world), freeze=True)
    with learn.no_bar(), learn.no_logging():
        assert modes(learn) == STILL
        learn.freeze_to(-2)
        assert modes(learn) == ([False]*3 + [True], [False]*5 + [True])
        learn.unfreeze()
        assert modes(learn) == MOVING
        learn.freeze()
        before = state(learn.model[0])
        assert modes(learn, wd=.1) == STILL and same(state(learn.model[0]), before)

def test_frozen_weights_do_not_decay(make):
    learn = make()
    learn.fit(1, 1e-3)
    learn.freeze()
    before = learn.model[0][0][0].weight.clone()
    learn.fit(1, 1e-3, wd=.1)
    assert torch.equal(learn.model[0][0][0].weight, before)

def test_fine_tune_trains_the_encoder_in_its_second_half(world):
    learn, seen = transfer_learner(labelled(world), freeze=True), []
    class Each(Modes):
        def after_train(self):
            super().after_train()
            seen.append((self.stages, self.moved))
    learn.add_cb(Each())
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(1)
    assert seen == [STILL, MOVING]

def test_with_train_bn_the_normalisation_of_frozen_stages_trains(world):
    learn = transfer_learner(labelled(world), freeze=True, train_bn=True)
    with learn.no_bar(), learn.no_logging(): assert modes(learn) == MOVING

def test_a_timm_encoder_is_one_part(world):
    learn = transfer_learner(labelled(world), 'timm/resnet10t', freeze=True)
    before = state(learn.model[0])
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-2)
    assert same(state(learn.model[0]), before)

def test_freeze_asks_for_groups(world):
    with pytest.raises(InputError, match='splitter'):
        transfer_learner(labelled(world), freeze=True, splitter=trainable_params)

@pytest.mark.parametrize('freeze', [False, True])
def test_bn_freeze_leaves_the_head_to_train(make, freeze):
    learn = make(cbs=BnFreeze())
    if freeze: learn.freeze()
    norm = learn.model[1][2]
    before = norm.running_mean.clone()
    learn.fit(1, 1e-3)
    assert not torch.equal(norm.running_mean, before)

def test_the_head_normalises_like_pytorch():
    ours, theirs, x = heads.FeatureNorm(5), nn.BatchNorm1d(5, affine=False), torch.randn(8, 5)
    for _ in range(3): assert torch.equal(ours(x), theirs(x))
    assert same(state(ours), state(theirs)) and torch.equal(ours.eval()(x), theirs.eval()(x))

# Arguments

def shows_anothers(f):
    "Is it a function of this package that takes any keyword, and shows those of another function instead?"
    f = getattr(f, '__func__', f)
    if not inspect.isfunction(f) or not f.__module__.startswith('selfsup.') or hasattr(f, '__wrapped__'): return False
    kinds = [p.kind for p in inspect.signature(f).parameters.values()]
    return bool(f.__code__.co_flags & inspect.CO_VARKEYWORDS) and inspect.Parameter.VAR_KEYWORD not in kinds

def test_what_delegates_is_tested():
    places = [encoder, features, transfer, probes, rotation, pretext_loaders, learner_page, watched_features,
              rotation.RotationDataLoaders]
    found = {n for p in places for n in vars(p) if shows_anothers(getattr(p, n))}
    assert found == {'pretext_learner', 'rotation_learner', 'transfer_learner', 'from_folder', 'from_path_func', 'from_df', 'from_lists'}

@pytest.mark.parametrize('f', [pretext_learner, rotation_learner, transfer_learner])
def test_learners_take_each_argument_that_they_show(world, f):
    for name, p in list(inspect.signature(f).parameters.items())[1:]:
        dls = (labelled if f is transfer_learner else turned)(world)
        assert isinstance(f(dls, **{name: p.default}), Learner), name

def test_a_splitter_of_ones_own(make):
    learn = make(splitter=lambda m: [list(m[0].parameters()), list(m[1].parameters())])
    learn.fit(1, slice(1e-5, 1e-3))
    assert [h['lr'] for h in learn.opt.hypers] == pytest.approx([1e-5, 1e-3])
    own = make()
    own.create_opt()
    assert len(own.opt.param_lists) == len(by_depth(own.model)) == 5

def test_gradients_are_accumulated_over_views(world):
    class Steps(Callback):
        n = 0
        def after_step(self): self.n += 1
    learn = rotation_learner(turned(world), cbs=[GradientAccumulation(4*10), steps := Steps()])
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
    assert steps.n == 2
