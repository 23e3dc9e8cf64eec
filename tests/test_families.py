"Architectures: one small one of each family works, and what does not is refused before a photo is looked for."
import random

import numpy as np
import pytest
import torchvision
from families import examine
from fastai.vision.all import ChannelsLast, ImageDataLoaders, Resize, nn, noop, set_seed, torch
from selfsup.checks.suitability import suitability
from selfsup.cli import main
from selfsup.data.drawn import draw_world
from selfsup.errors import InputError
from selfsup.evaluation.compare import compare
from selfsup.evaluation.evaluate import evaluate
from selfsup.models.encoder import Encoder, _body, create_encoder
from selfsup.models.heads import linear_head
from selfsup.models.saved import ENCODER, load_encoder, save_encoder
from selfsup.pretext.learner import rotation_learner
from selfsup.pretext.pretrain import pretrain
from selfsup.pretext.rotation import RotationDataLoaders
from selfsup.transfer.classifier import load_classifier
from selfsup.transfer.finetune import finetune
from selfsup.transfer.learner import transfer_learner
from selfsup.transfer.training import encoder_learner, side_of

FEW = '''googlenet mnasnet0_5 mobilenet_v2 shufflenet_v2_x0_5 squeezenet1_1 timm/mobilevit_xxs timm/pit_ti_224
timm/starnet_s050 timm/test_byobnet timm/test_coatnet timm/test_convnext timm/test_efficientnet timm/test_mambaout
timm/test_nfnet timm/test_resnet timm/test_vit timm/test_vit_relpos'''.split()
TOO_SMALL = "'alexnet' takes no pictures of 32×32 pixels; give size 64 or 224, or another arch, such as small"

@pytest.mark.filterwarnings('ignore::FutureWarning')  # GoogLeNet's, of how it may draw its weights one day
@pytest.mark.parametrize('name', FEW)
def test_a_family_works(name): assert examine(name).maps

@pytest.mark.parametrize('name', ['swin_t', 'timm/efficientvim_m1'])
def test_a_family_is_refused(name): assert not examine(name, [64]).maps

class Net(nn.Module):
    "As torchvision's are made: layers, an extra head for training, and a classifier; `between` is no layer"
    def __init__(self, between):
        super().__init__()
        self.between, self.first, self.extra = between, nn.Conv2d(3, 8, 3, 2), nn.Linear(8, 2)
        self.second, self.pool, self.fc = nn.Conv2d(8, 16, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Linear(16, 2)
    def forward(self, x): return self.fc(self.pool(self.between(self.second(self.first(x)))).flatten(1))

def test_a_body_gives_what_the_classifier_sees_or_there_is_none():
    net = Net(lambda x: x)
    assert list(_body(net)) == [net.first, net.second]
    assert all(m.training for m in net.modules())
    net = Net(torch.relu)
    *layers, last = _body(net)
    assert layers == [net.first, net.second] and isinstance(last, nn.ReLU)
    assert _body(Net(torch.sigmoid)) is None

def test_to_make_sure_takes_no_random_numbers():
    set_seed(0)
    create_encoder('mnasnet0_5', size=32)
    after = torch.rand(1)
    set_seed(0)
    torchvision.models.mnasnet0_5()
    assert torch.rand(1) == after

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp('data')/'world'
    return draw_world(path, train=10, valid=3, test=3, classes=['house', 'car'], size=32)

@pytest.fixture(scope='module')
def made_for_64(tmp_path_factory):
    "A saved encoder, as it is given on the command line"
    return f"{save_encoder(create_encoder('timm/test_maxvit', size=64), tmp_path_factory.mktemp('saved')).parent}/"

@pytest.mark.parametrize('command', [pretrain, compare, finetune])
def test_commands_refuse_a_name_before_they_look_for_photos(command, tmp_path):
    key = 'encoder' if command is finetune else 'arch'
    with pytest.raises(InputError, match=TOO_SMALL):
        command('nowhere', out=tmp_path/'out', size=32, say=noop, **{key: 'alexnet'})
    assert not (tmp_path/'out').exists()

@pytest.mark.parametrize('command', [pretrain, finetune, evaluate, suitability])
def test_commands_refuse_a_file_before_they_look_for_photos(command, made_for_64, tmp_path):
    key = 'start_from' if command is pretrain else 'encoder'
    with pytest.raises(InputError, match="'timm/test_maxvit' takes no pictures of 32×32 pixels; give size 64,"):
        command('nowhere', out=tmp_path/'out', size=32, say=noop, **{key: made_for_64})
    assert not (tmp_path/'out').exists()

def test_compare_takes_an_encoder_at_its_size_or_refuses_it(made_for_64, tmp_path):
    with pytest.raises(InputError, match="'nowhere'"):
        compare('nowhere', encoder=f'mine={made_for_64}', size=32, say=noop)
    save_encoder(create_encoder('timm/test_maxvit'), tmp_path, size=None)  # then it is that of the comparison
    with pytest.raises(InputError, match="'timm/test_maxvit' takes no pictures of 64×64 pixels; give size 160,"):
        compare('nowhere', encoder=f'mine={tmp_path}/', say=noop)

def test_the_command_line_says_it_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit): main(['pretrain', 'nowhere', '--out', str(tmp_path/'out'), '--arch', 'swin_t'])
    said = capsys.readouterr().err
    assert said.startswith("selfsup: arch 'swin_t' of torchvision has no feature maps") and said.count('\n') == 1

def turned(world): return RotationDataLoaders.from_folder(world, bs=5, num_workers=0, device='cpu')

def labelled(world, **kwargs): return ImageDataLoaders.from_folder(world, bs=5, num_workers=0, device='cpu', **kwargs)

@pytest.mark.parametrize('learner, loaders', [(rotation_learner, turned), (transfer_learner, labelled)])
def test_learners_refuse_and_make_what_fits(learner, loaders, world):
    with pytest.raises(InputError, match=TOO_SMALL): learner(loaders(world), 'alexnet')
    with pytest.raises(InputError, match="'timm/test_maxvit' takes no pictures of 32×32 pixels; give size 160,"):
        learner(loaders(world), create_encoder('timm/test_maxvit'))
    learn = learner(loaders(world), 'timm/test_maxvit')
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)
    assert learn.model[0].meta['size'] == 32

def test_a_look_at_a_picture_leaves_what_is_random(world):
    for dls in (turned(world), labelled(world)):
        state = dls.train.rng.getstate()
        set_seed(0)
        assert side_of(dls) == 32 and dls.train.rng.getstate() == state
        seen = random.random(), np.random.rand(), torch.rand(1)
        set_seed(0)
        assert seen == (random.random(), np.random.rand(), torch.rand(1))
    assert side_of(labelled(world, item_tfms=Resize((32, 48)))) is None

def test_an_architecture_made_for_a_size_goes_all_the_way(world, tmp_path):
    file = pretrain(world, tmp_path/'pre', arch='timm/test_vit_relpos', size=32, epochs=1, bs=5, say=noop)
    assert load_encoder(file).meta['size'] == 32
    finetune(world, file, tmp_path/'fine', steps=2, bs=4, say=noop)
    assert load_classifier(tmp_path/'fine').predict(sorted(world.rglob('*.png'))[:2]).shape == (2, 2)
    evaluate(world, file, say=noop)

def test_a_gradient_that_would_be_wrong_is_not_asked_for(world):
    for stride, safe in ((1, True), (2, False)):
        learn = encoder_learner(labelled(world), Encoder(nn.Conv2d(3, 8, 1, stride), arch='own'), linear_head)
        assert (ChannelsLast in map(type, learn.cbs)) == safe

def test_tensors_that_are_shared_are_saved_twice(tmp_path):
    once = nn.Conv2d(3, 3, 1)
    packed = ENCODER.packed(nn.Sequential(once, once), tmp_path, dict(arch='own', family='own', stages=2))
    assert len(packed) == 2
