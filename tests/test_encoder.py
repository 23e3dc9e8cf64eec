"Encoders: what a name means, and what is written and read."
import json
import os
import stat
from unittest import mock
import numpy as np
import pytest
import timm
from fastai.vision.all import Path, nn, torch
from fastai.vision.models import resnet18
from selfsup.models import encoder as module, saved as saved_module
from selfsup.errors import InputError
from selfsup.models.encoder import Encoder, create_encoder
from selfsup.models.saved import as_encoder, is_saved, load_encoder, save_encoder

@pytest.fixture
def saved(tmp_path):
    "A saved encoder, and its folder"
    enc = create_encoder('small').eval()
    save_encoder(enc, tmp_path/'small', size=32, pretext={'name': 'rotation', 'angles': [0, 90, 180, 270]})
    return enc, tmp_path/'small'

def same(a, b): return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())

def test_a_bare_name_is_an_architecture(saved, monkeypatch):
    enc, folder = saved
    monkeypatch.chdir(folder.parent)
    assert not same(create_encoder('small'), enc)
    for name in ('small', './small', 'small/encoder.safetensors', str(folder), folder, Path('small')):
        assert same(load_encoder(name), enc), name
    assert not same(as_encoder('small'), enc)
    with pytest.raises(InputError, match='a saved encoder is needed'): load_encoder('nin3')
    os.rename('small', 'run')
    with pytest.raises(InputError, match='there is a folder of that name: write ./run'): create_encoder('run')
    with pytest.raises(InputError, match='names a saved encoder'): create_encoder('./run')
    with pytest.raises(InputError, match='PosixPath|WindowsPath'): create_encoder(Path('run'))

def test_a_backslash_counts_where_it_parts_folders(monkeypatch):
    assert not is_saved('runs\\small')
    monkeypatch.setattr(os, 'sep', '\\')
    assert is_saved('runs\\small')

@pytest.mark.parametrize('arch', [None, 18, ['small'], nn.ReLU()])
def test_what_is_no_architecture(arch):
    with pytest.raises(InputError, match='name of an architecture'): create_encoder(arch)

def test_no_pretrained_weights_are_no_random_ones():
    for arch in ('small', module.small_encoder, module.nin_encoder):
        with pytest.raises(InputError, match='no ImageNet weights'): create_encoder(arch, pretrained=True)

def test_near_names_stand_once():
    with pytest.raises(InputError) as e: create_encoder('resnet5O')
    near = str(e.value).split('did you mean ')[1].split('?')[0].split(', ')
    assert near[0] == 'resnet50' and len(near) == len(set(near)) == 3

def test_pretrained_weights_bring_their_normalisation(monkeypatch):
    models, halves = module.torchvision.models, dict(mean=[.5]*3, std=[.5]*3)
    assert module._seen_by('efficientnet_v2_l')[1] == halves
    make = timm.create_model
    monkeypatch.setattr(timm, 'create_model', lambda name, pretrained, **kwargs: make(name, **kwargs))
    assert create_encoder('timm/vit_tiny_patch16_224', pretrained=True).meta['normalization'] == halves
    assert 'normalization' not in create_encoder('timm/resnet10t').meta
    state = make('resnet18').state_dict()
    monkeypatch.setattr(models.ResNet18_Weights, 'get_state_dict', lambda *args, **kwargs: state)
    imagenet = dict(mean=[.485, .456, .406], std=[.229, .224, .225])
    assert create_encoder(resnet18, pretrained=True).meta['normalization'] == imagenet

@pytest.mark.parametrize('how', [{}, {'normalization': None}, {'normalization': dict(mean=[.5]*3, std=[.25]*3)}])
def test_unknown_and_without_are_two_things(tmp_path, how):
    save_encoder(create_encoder(), tmp_path, **how)
    meta = load_encoder(tmp_path).meta
    assert {k: v for k, v in meta.items() if k == 'normalization'} == how
    save_encoder(load_encoder(tmp_path), tmp_path)
    assert {k: v for k, v in load_encoder(tmp_path).meta.items() if k == 'normalization'} == how

def test_the_umask_holds(saved):
    old = os.umask(0o027)
    try: save_encoder(saved[0], saved[1])
    finally: os.umask(old)
    assert [stat.S_IMODE(f.stat().st_mode) for f in sorted(saved[1].iterdir())] == [0o640]*2

@pytest.mark.parametrize('where', ['weights', 'json', 'replace'])
def test_a_stop_while_writing_leaves_the_old_pair(saved, monkeypatch, where):
    enc, folder = saved
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    calls = dict(weights=[KeyboardInterrupt], json=[None, KeyboardInterrupt], replace=[KeyboardInterrupt])[where]
    monkeypatch.setattr(os, 'replace' if where == 'replace' else 'fsync', mock.Mock(side_effect=calls))
    with pytest.raises(KeyboardInterrupt): save_encoder(create_encoder('nin3'), folder, size=64)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
    assert same(load_encoder(folder), enc)

nan, inf = float('nan'), float('inf')
def scales(mean=(.5, .5, .5), std=(.2, .2, .2)): return dict(mean=mean, std=std)

wrong = {
    'stages': ['4', 0, -1, 2.5, True, None, 9, [4]],
    'arch': [None, 18, ['small'], 'resnet_18', './small'],
    'family': ['tim', None, 3, ['own']],
    'size': ['32', 0, -32, 32.5, True, [32], nan],
    'bits': ['12', 7, 11, 12.0, True, [12]],
    'pretext': ['rotation', [], 90, {}, {'angles': [0, 90]}, {'name': None}, {'name': ''}, {'name': ['rotation']}],
    'normalization': ['none', [], {}, {'mean': [.5]*3}, scales(mean=.5), scales(mean=['a']*3), scales(mean=[nan]*3),
                      scales(std=[.2]*2), scales(std=[0, 1, 1]), scales(std=[-1.]*3), scales(std=[inf]*3)]}

@pytest.mark.parametrize('key, value', [(k, v) for k, vs in wrong.items() for v in vs])
def test_a_wrong_entry_is_named(saved, key, value):
    enc, folder = saved
    file = folder/'encoder.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(InputError) as e: load_encoder(folder)
    assert str(file) in str(e.value) and '\n' not in str(e.value)

@pytest.mark.parametrize('info', [
    {'size': '32'}, {'size': np.int64(32)}, {'pretext': 'rotation'}, {'normalization': {}}])
def test_a_wrong_entry_is_not_written(saved, info):
    enc, folder = saved
    with pytest.raises(InputError, match=next(iter(info))): save_encoder(create_encoder(), folder, **info)
    assert same(load_encoder(folder), enc)

def test_an_encoder_that_could_not_be_built_again_is_not_written(tmp_path):
    with pytest.raises(InputError, match='arch is None'): save_encoder(Encoder(nn.Conv2d(3, 8, 3)), tmp_path/'own')
    assert not (tmp_path/'own').exists()

@pytest.mark.parametrize('spoil', [lambda b: b'', lambda b: b[:100], lambda b: b[:-10], lambda b: b'x'*64],
                         ids=['empty', 'header', 'end', 'noise'])
@pytest.mark.parametrize('name', ['encoder.safetensors', 'encoder.json'])
def test_broken_files(saved, spoil, name):
    file = saved[1]/name
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(InputError, match='cannot be read'): load_encoder(saved[1])

@pytest.mark.parametrize('text, missing', [('[]', 'arch, family, stages'), ('null', 'arch, family, stages'), ('{"arch": "small"}', 'family, stages')])
def test_a_description_that_lacks_something(saved, text, missing):
    (saved[1]/'encoder.json').write_text(text)
    with pytest.raises(InputError, match=fr"encoder.json' does not say .*\({missing} missing\)"): load_encoder(saved[1])

def test_a_file_that_is_not_the_weights(saved):
    for name in ('encoder.json', 'encoder.pkl'):
        (saved[1]/'encoder.pkl').write_bytes(b'')
        with pytest.raises(InputError, match=f"{name}' is not where .* give '.*encoder.safetensors'"): load_encoder(saved[1]/name)

def test_weights_of_another_shape(saved):
    other = create_encoder()
    other[0][0] = nn.Conv2d(3, 32, 3, bias=False)
    (saved[1]/'encoder.safetensors').write_bytes(saved_module.save(other.state_dict()))
    with pytest.raises(InputError, match='do not fit'): load_encoder(saved[1])

@pytest.mark.parametrize('value', [nan, inf])
@pytest.mark.parametrize('name', ['1.0.0.weight', '0.1.running_var'])
def test_weights_that_are_no_numbers(saved, value, name):
    enc, folder = saved
    state = {k: v.clone() for k, v in enc.state_dict().items()}
    state[name].view(-1)[-1] = value
    spoiled = create_encoder()
    spoiled.load_state_dict(state)
    with pytest.raises(InputError, match=f"not finite, such as '{name}'"): save_encoder(spoiled, folder)
    assert same(load_encoder(folder), enc)
    (folder/'encoder.safetensors').write_bytes(saved_module.save(state))
    with pytest.raises(InputError, match='encoder.safetensors. are not finite'): load_encoder(folder)

@pytest.mark.filterwarnings('error')
def test_torchvision_warns_of_nothing():
    assert create_encoder('googlenet', size=64).n_stages
