"An encoder that leaves: opened by others without selfsup, and back again."
import json
import subprocess
import sys
from shutil import copytree

import numpy as np
import pytest
import selfsup.models.export as module
import timm
import torch
from fastai.vision.all import noop, set_seed
from selfsup.cli import main
from selfsup.data.drawn import draw_world
from selfsup.errors import InputError
from selfsup.evaluation.evaluate import evaluate
from selfsup.models.encoder import create_encoder
from selfsup.models.export import export, opened_difference
from selfsup.models.ready_made import library_names
from selfsup.models.saved import EXPORTED, load_encoder, save_encoder
from selfsup.pretext.pretrain import pretrain
from selfsup.transfer.finetune import finetune

SCALE = dict(mean=[.5, .4, .3], std=[.2, .3, .25])
PICTURES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

def saved(folder, arch, cut=None, **meta):
    "An encoder that has seen something: its normalisation layers are no longer fresh"
    set_seed(0)
    encoder = create_encoder(arch, size=64)
    encoder.train()(torch.rand(8, 3, 64, 64))
    encoder = encoder.eval() if cut is None else encoder.cut(cut).eval()
    save_encoder(encoder, folder, **dict(size=64, normalization=SCALE) | meta)
    return encoder

def scaled(x):
    mean, std = (torch.tensor(SCALE[k])[:, None, None] for k in ('mean', 'std'))
    return (x - mean)/std

def elsewhere(folder, pictures):
    "What the lines of the card give in a process where selfsup is not to be had"
    lines = (folder/'README.md').read_text(encoding='utf-8').split('```python')[1].split('```')[0]
    np.save(folder/'pictures.npy', pictures.numpy())
    code = ["import sys; sys.modules['selfsup'] = None", 'import numpy as np', "pictures = np.load('pictures.npy')"]
    as_tensor = ['import torch', 'pictures = torch.from_numpy(pictures)', 'torch.set_grad_enabled(False)']
    if 'onnx' not in lines: code += as_tensor
    code += [lines, "np.save('features.npy', np.asarray(features))"]
    subprocess.run([sys.executable, '-c', '\n'.join(code)], cwd=folder, check=True)
    return torch.from_numpy(np.load(folder/'features.npy'))

@pytest.mark.parametrize('arch, to', [('resnet18', 'torchvision'), ('mnasnet0_5', 'torchvision'),
                                      ('timm/test_vit', 'timm'), ('timm/test_resnet', 'hub'),
                                      ('timm/test_convnext', 'timm'), ('timm/mobilenetv3_small_050', 'timm')])
def test_the_lines_of_the_card_open_it(arch, to, tmp_path):
    encoder = saved(tmp_path/'saved', arch)
    export(tmp_path/'saved', to, tmp_path/'out', say=noop)
    torch.testing.assert_close(elsewhere(tmp_path/'out', PICTURES), encoder(PICTURES).mean((2, 3)).detach())
    again = load_encoder(tmp_path/'out').eval()
    assert torch.equal(again(PICTURES), encoder(PICTURES))
    assert again.meta['size'] == 64 and again.meta['normalization'] == SCALE

no_tokens = pytest.mark.skipif(torch.__version__.startswith('2.7.'), reason='torch 2.7 cannot put this one into ONNX')

@pytest.mark.parametrize('arch, cut', [('small', 3), pytest.param('timm/test_vit', None, marks=no_tokens)])
def test_onnx_gives_the_same(arch, cut, tmp_path):
    encoder, said = saved(tmp_path/'saved', arch, cut), []
    export(tmp_path/'saved', 'onnx', tmp_path/'out', say=said.append)
    pictures = torch.rand(3, 3, 96, 96)
    ours = encoder(scaled(pictures)).mean((2, 3)).detach()
    torch.testing.assert_close(elsewhere(tmp_path/'out', pictures), ours, atol=1e-4, rtol=0)
    assert 'any side' in said[0]
    card = (tmp_path/'out'/'README.md').read_text(encoding='utf-8')
    assert '0 to 1; the network in the file scales them itself: minus mean 0.5, 0.4, 0.3' in card and 'name: onnx' in card

def test_onnx_for_one_side_where_another_fails(tmp_path, monkeypatch):
    made = module._exported
    def fixed(model, size, any_side):
        if any_side: raise RuntimeError('a number of places that is no constant')
        return made(model, size, any_side)
    monkeypatch.setattr(module, '_exported', fixed)
    data, any_side, worst = module.to_onnx(saved(tmp_path, 'small'), 64)
    assert data and not any_side and worst < 1e-5
    monkeypatch.setattr(module, '_differences', lambda *args: [0., float('nan')])
    with pytest.raises(InputError, match="'small' cannot be put into an ONNX file"):
        module.to_onnx(saved(tmp_path, 'small'), 64)

@pytest.mark.parametrize('arch, cut', [('small', None), ('nin3', 2), ('resnet18', 3), ('timm/test_resnet', 2)])
def test_what_no_library_knows_goes_to_the_hub(arch, cut, tmp_path):
    encoder = saved(tmp_path/'saved', arch, cut)
    file = export(tmp_path/'saved', 'hub', tmp_path/'out', say=noop)
    for given in (tmp_path/'out', file): assert torch.equal(load_encoder(given).eval()(PICTURES), encoder(PICTURES))
    assert 'load_encoder' in (tmp_path/'out'/'README.md').read_text(encoding='utf-8')
    for to in ('timm', 'torchvision'):
        with pytest.raises(InputError, match='give --to'): export(tmp_path/'saved', to, tmp_path/'no')
    assert not (tmp_path/'no').exists()

@pytest.mark.parametrize('arch', ['timm/test_vit', 'timm/test_vit_relpos', 'timm/test_resnet'])
def test_timm_opens_the_folder_as_one_of_its_own(arch, tmp_path):
    encoder = saved(tmp_path/'saved', arch)
    export(tmp_path/'saved', 'hub', tmp_path/'out', say=noop)
    model = timm.create_model(f"local-dir:{tmp_path/'out'}", pretrained=True).eval()
    torch.testing.assert_close(model(PICTURES), encoder.model(PICTURES))
    assert model.pretrained_cfg['mean'] == SCALE['mean']

def test_features_that_differ_are_seen():
    "Two tensors in each other's place have the right shapes and the wrong features"
    encoder = create_encoder('resnet18').eval()
    for layer in encoder[0][1], encoder[1][1][0].bn1: layer.weight.data = torch.rand(64)
    names = {'0.1.weight': 'layer1.0.bn1.weight', '1.1.0.bn1.weight': 'bn1.weight'}
    right = EXPORTED.packed(encoder, '', encoder.meta, library := library_names(encoder))
    wrong = EXPORTED.packed(encoder, '', encoder.meta, library | names)
    differ = [opened_difference(encoder, next(iter(files.values())), 64) for files in (right, wrong)]
    assert differ[0] < 1e-5 < 1e-3 < differ[1]
    cut = encoder.cut(2)
    differ = [opened_difference(cut, next(iter(EXPORTED.packed(cut, '', cut.meta, names).values())), 64)
              for names in (None, {'0.1.weight': '1.1.0.bn1.weight', '1.1.0.bn1.weight': '0.1.weight'})]
    assert differ[0] < 1e-5 < 1e-3 < differ[1]

@pytest.fixture(scope='module')
def run(tmp_path_factory):
    "A folder with photos, a pretraining and an evaluation"
    tmp = tmp_path_factory.mktemp('run')
    world = draw_world(tmp/'world', train=10, valid=5, test=5, classes=['house', 'car'], size=32)
    pretrain(world, tmp/'pretrained', size=32, epochs=1, bs=4, say=noop)
    evaluate(world, tmp/'pretrained/', tmp/'stages', labels='5', say=noop)
    return tmp

def test_the_card_says_what_the_run_says(run, tmp_path):
    export(run/'pretrained', 'hub', tmp_path/'a', say=noop)
    card = (tmp_path/'a'/'README.md').read_text(encoding='utf-8')
    result = json.loads((run/'pretrained'/'result.json').read_text())
    reached = result['history'][-1]['rotation_accuracy']
    assert f'rotation accuracy {reached:.1%} (chance 25.0%); on 10 validation' in card
    assert '| photos | 20, without their labels |' in card and 'Nothing was measured with labels' in card
    assert str(run) not in card and str(run) not in (tmp_path/'a'/'config.json').read_text()
    export(run/'stages'/'encoder', 'hub', tmp_path/'b', say=noop)
    card = (tmp_path/'b'/'README.md').read_text(encoding='utf-8')
    assert json.loads((run/'stages'/'result.json').read_text())['answer'] in card

def test_the_command(run, tmp_path, capsys):
    with pytest.raises(SystemExit) as e: main(f'export {run}/pretrained/ --to hub --out {tmp_path}/out'.split())
    assert not e.value.code
    assert 'written to' in capsys.readouterr().out
    for line, words in {'export nowhere/ --to hub --out a': "no file or folder 'nowhere/'",
                        f'export {run}/pretrained/ --to keras --out a': "to is 'keras'; give one of",
                        f'export {run}/pretrained/ --to timm --out a': "architecture of selfsup's"}.items():
        with pytest.raises(SystemExit): main(line.split())
        said = capsys.readouterr().err
        assert words in said and said.count('\n') == 1

def test_without_the_extra(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(InputError, match=r"pip install 'selfsup\[onnx\]'"):
        export(run/'pretrained', 'onnx', tmp_path/'a')
    assert not list((tmp_path/'a').glob('*'))

@pytest.mark.parametrize('name, changed', [
    ('encoder.json', {'versions': ['a']}), ('encoder.json', {'rotation_accuracy': 'high'}), ('encoder.json', {'weights': 5}),
    ('result.json', {'settings': 3}), ('result.json', {'photos': 'x'}), ('result.json', {'valid': 10**15}),
    ('result.json', {'methods': [1]})])
def test_what_a_run_left_behind_may_make_no_sense(run, tmp_path, name, changed):
    folder = copytree(run/'pretrained', tmp_path/'strange')
    (folder/name).write_text(json.dumps(json.loads((folder/name).read_text()) | changed))
    with pytest.raises(InputError, match="card cannot be filled from the JSON files of '.*strange'") as e:
        export(folder, 'hub', tmp_path/'a', say=noop)
    assert '\n' not in str(e.value) and not list((tmp_path/'a').glob('*'))

def test_a_classifier_is_no_encoder(run, tmp_path):
    finetune(run/'world', run/'pretrained'/'encoder.safetensors', tmp_path/'tuned', steps=1, bs=4, say=noop)
    for name in ('', 'model.safetensors', 'model.pkl'):
        with pytest.raises(InputError, match="is a classifier, .* and an encoder is needed"):
            export(tmp_path/'tuned'/name, 'onnx', tmp_path/'a')

def test_a_folder_of_timms_is_named_as_one(tmp_path):
    model = timm.create_model('test_resnet').eval()
    timm.models.save_for_hf(model, tmp_path/'theirs', safe_serialization=True)
    with pytest.raises(InputError, match='missing') as e: load_encoder(tmp_path/'theirs')
    assert str(e.value).endswith(f"give timm/test_resnet:{tmp_path}/theirs/model.safetensors.")
    again = load_encoder(str(e.value).rpartition('give ')[2].rstrip('.')).eval()
    with torch.no_grad(): torch.testing.assert_close(again(PICTURES), model.forward_features(PICTURES))

def test_a_folder_of_a_hub_that_is_not_ours(run, tmp_path):
    export(run/'pretrained', 'hub', tmp_path/'a', say=noop)
    for text, words in [('{"hidden_size": 3}', 'missing'), ('{', 'cannot be read'), ('[' * 10**5, 'cannot be read'),
                        ('{"arch": "resnet18", "family": "torchvision", "stages": 5}', 'do not fit')]:
        folder = copytree(tmp_path/'a', tmp_path/'b', dirs_exist_ok=True)
        (folder/'config.json').write_text(text)
        with pytest.raises(InputError, match=words): load_encoder(folder)
