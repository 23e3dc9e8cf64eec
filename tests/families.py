"""Every family of architectures: what is kept, what comes out, a step of training, saved, loaded and exported.

python tests/families.py [ARCH ...] [--out FILE.csv]

There is a line for each, also in the CSV."""
import argparse
import re
import sys
import traceback
import warnings
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import timm
import torch
import torchvision
from safetensors.torch import load_file
from fastai.vision.all import SGD, CrossEntropyLossFlat, DataLoaders, TfmdDL, noop, set_seed
from selfsup.data.drawn import draw_world
from selfsup.errors import InputError
from selfsup.evaluation.compare import compare
from selfsup.models.encoder import arch_name, create_encoder, n_features
from selfsup.models.export import opened_difference, to_onnx
from selfsup.models.heads import linear_head
from selfsup.models.ready_made import fit_weights, library_names
from selfsup.models.saved import EXPORTED, load_encoder, save_encoder
from selfsup.transfer.training import encoder_learner

sys.path.append(str(Path(__file__).parent.parent/'benchmarks'))
from machine import machine

SIZES = 32, 64, 224
TORCHVISION = torchvision.models.list_models(torchvision.models)
TIMM = """
bat_resnext26ts beit_base_patch16_224 caformer_s18 cait_xxs24_224 coat_lite_tiny coat_tiny coatnet_pico_rw_224
convit_tiny convmixer_768_32 convnextv2_atto convnextv2_femto cpubone_nano crossvit_18_dagger_408 crossvit_9_240
crossvit_tiny_240 cs3darknet_focus_s csatv2 cspnext_tiny davit_tiny deit3_small_patch16_224 deit_tiny_patch16_224
densenet121 dla46x_c dm_nfnet_f0 dpn48b eca_botnext26ts_256 ecaresnet26t edgenext_xx_small efficientformer_l1
efficientformerv2_s0 efficientvim_m1 efficientvim_m2 efficientvit_b0 efficientvit_b1 efficientvit_m0
ese_vovnet19b_slim_dw eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 flexivit_small focalnet_tiny_srf gcvit_xxtiny
gemma4_vit_167m gernet_s ghostnet_050 gmixer_12_224 gmlp_ti16_224 halonet_h1 hardcorenas_b hgnet_tiny hgnetv2_b0
hiera_small_abswin_256 hiera_tiny_224 hrnet_w18_small iformer_t inception_next_atto inception_resnet_v2 inception_v3
inception_v4 lambda_resnet26rpt_256 lcnet_035 lcnetv2_small legacy_seresnet18 legacy_xception levit_128s
lowformer_b0 maxvit_rmlp_pico_rw_256 mixer_s32_224 mixnet_s mnasnet_small mobilenetv2_050 mobilenetv3_small_050
mobilenetv4_conv_small_050 mobilenetv5_base mobileone_s1 mobilevit_xxs mobilevitv2_050 mvitv2_tiny
naflexvit_base_patch16_parfac_gap nasnetalarge nest_tiny nextvit_small nf_regnet_b0 pit_ti_224 pnasnet5large
poolformer_s12 poolformerv2_s12 pvt_v2_b0 qwen3_vit_88m rdnet_tiny regnetx_002 regnety_002 repghostnet_050 repvgg_a0
repvit_m1 res2next50 resmlp_12_224 resnest14d resnet10t resnet18d resnetv2_18 resnetv2_50x1_bit rexnet_100
sam2_hiera_tiny samvit_base_patch16_224 sehalonet33ts selecsls42 sequencer2d_s seresnext26t_32x4d shvit_s1
skresnet18 starnet_s050 swiftformer_xs swin_s3_tiny_224 swin_tiny_patch4_window7_224 swinv2_cr_tiny_224
swinv2_cr_tiny_ns_224 swinv2_tiny_window8_256 test_byobnet test_coatnet test_convnext test_efficientnet
test_mambaout test_maxvit test_nfnet test_resnet test_vit test_vit2 test_vit3 test_vit4 test_vit_relpos
tf_efficientnet_lite0 tf_efficientnetv2_b0 tiny_vit_5m_224 tinynet_e tnt_s_legacy_patch16_224 tnt_s_patch16_224
tresnet_m twins_svt_small vgg11 visformer_tiny vit_little_patch16_reg4_gap_256 vit_pwee_patch16_reg1_gap_256
vit_small_patch14_dinov2 vit_small_patch16_dinov3 vit_tiny_patch16_224 vit_tiny_patch16_dinov3_qkvb
vit_tiny_r_s16_p8_224 vitamin_small_224 volo_d1_224 xception41p xcit_nano_12_p8_224
""".split() # One at least of each of timm's modules, but for the largest
ONNX = '''googlenet mnasnet0_5 mobilenet_v2 resnet18 shufflenet_v2_x0_5 squeezenet1_1 timm/mobilevit_xxs timm/pit_ti_224
timm/starnet_s050 timm/test_byobnet timm/test_coatnet timm/test_convnext timm/test_efficientnet timm/test_mambaout
timm/test_maxvit timm/test_nfnet timm/test_resnet timm/test_vit timm/test_vit_relpos'''.split() # In onnxruntime, too
COMPARED = 'shufflenet_v2_x0_5', 'timm/test_maxvit', 'timm/swin_tiny_patch4_window7_224' # In a whole comparison, too
HEADS = 'classifier', 'fc', 'head', 'heads', 'aux1', 'aux2', 'AuxLogits' # Parts of theirs that are no encoder's

@dataclass
class Row:
    "What became of one architecture"
    name:str
    maps:dict = field(default_factory=dict) # Size to channels, height and width of the last map
    refused:dict = field(default_factory=dict) # Size to the words of the refusal
    parameters:int = 0
    stages:int = 0
    trained:float = 0. # Share of the parameters before the classifier that are trained
    difference:float = 0. # Largest difference of a feature after saving and loading
    exported:float = 0. # The same, in the library's own model, and back
    onnx:str = '' # The same, in onnxruntime, and for which pictures

    def __str__(self):
        at = [f"{s}: {'×'.join(map(str, self.maps[s])) if s in self.maps else 'refused'}" for s in SIZES]
        facts = (f'{self.parameters/1e6:6.1f} M, {self.stages:2} stages, {self.trained:4.0%} trained, '
                 f'{self.difference:g} off, exported {self.exported:g} off{self.onnx and f", ONNX {self.onnx}"}')
        why = next(iter(self.refused.values()), '')
        return '  '.join([f'{self.name:36}', *([facts, ', '.join(at)] if self.maps else []), why])

def check_kept(encoder, name):
    "Fail unless the encoder holds all that the architecture has before its classifier, and nothing else"
    set_seed(0)
    if encoder.meta['family'] == 'timm':
        model = timm.create_model(encoder.meta['arch'], num_classes=0)
        assert encoder.model.state_dict().keys() == model.state_dict().keys()
        return
    model = torchvision.models.get_model(name, weights=None)
    own = [v for k, v in model.state_dict().items() if k.split('.')[0] not in HEADS]
    kept = list(encoder.state_dict().values())
    assert len(kept) == len(own) and all(map(torch.equal, kept, own))

def check_features(encoder, size):
    "Fail unless every stage gives a map, and each cut encoder the map of its stage; the shape of the last map"
    x = torch.rand(2, 3, size, size)
    with torch.no_grad(): maps = encoder.eval().features(x)
    assert len(maps) == encoder.n_stages
    for m in maps: assert m.ndim == 4 and m.shape[0] == 2 and m.shape[2] == m.shape[3] and m.isfinite().all()
    for n in {1, encoder.n_stages//2 + 1}:
        with torch.no_grad(): assert torch.allclose(encoder.cut(n)(x), maps[n - 1], atol=1e-5, rtol=1e-4)
    channels = encoder.model.num_features if encoder.meta['family'] == 'timm' else n_features(encoder)
    assert maps[-1].shape[1] == n_features(encoder) == channels
    return tuple(maps[-1].shape[1:])

def reached(encoder, out):
    "Numbers of the parameters on which `out` depends, by name"
    encoder.zero_grad()
    out.sum().backward()
    return {k: p.numel() for k, p in encoder.named_parameters() if p.grad is not None}

def share_trained(encoder, size):
    "Of the parameters before the classifier, by their number, those on which the last map depends"
    encoder.train()
    x, before = torch.rand(4, 3, size, size), {k: p.numel() for k, p in encoder.named_parameters()}
    if encoder.meta['family'] == 'timm': before = reached(encoder, encoder.model.forward_features(x))
    got = reached(encoder, encoder(x))
    return sum(n for k, n in before.items() if k in got)/sum(before.values())

def train(encoder, size):
    "One step of a learner"
    set_seed(0)
    before = [p.detach().clone() for p in encoder.parameters()]
    batch = list(zip(torch.rand(4, 3, size, size), range(4)))
    dls = DataLoaders(TfmdDL(batch, bs=4), TfmdDL(batch, bs=4), device='cpu')
    dls.c = 4
    learn = encoder_learner(dls, encoder, linear_head, loss_func=CrossEntropyLossFlat(), opt_func=SGD)
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-6)  # on four pictures of noise the gradients are large
    assert not all(map(torch.equal, before, encoder.parameters()))

def difference(encoder, size):
    "The largest difference of a feature after saving and loading"
    x = torch.rand(2, 3, size, size)
    encoder.to(memory_format=torch.contiguous_format)  # a learner may have put the channels last: other rounding
    with TemporaryDirectory() as folder, torch.no_grad():
        again = load_encoder(save_encoder(encoder, folder, size=size)).eval()
        return max((a - b).abs().max().item() for a, b in zip(encoder.eval().features(x), again.features(x)))

def exported(encoder, size):
    "The largest difference of a feature in the library's own model; the same weights come back under its names"
    with TemporaryDirectory() as folder:
        file, data = next(iter(EXPORTED.packed(encoder, folder, encoder.meta, library_names(encoder)).items()))
        file.write_bytes(data)
        again = create_encoder(arch_name(encoder.meta), size=encoder.meta.get('size'))
        fit_weights(again, load_file(file), file)
    assert all(map(torch.equal, again.state_dict().values(), encoder.state_dict().values()))
    return opened_difference(encoder, data, size)

def in_onnxruntime(encoder, size):
    "The largest difference of a number, and which pictures are taken"
    try: _, any_side, worst = to_onnx(encoder, size)
    except InputError: return 'refused'
    return f"{worst:.1g} off, {'any size' if any_side else f'{size} px only'}"

def offers(words):
    "What a refusal says would serve: (arch, size), or (arch, None)"
    name, = re.findall("arch '(.*?)'", words)
    sizes = re.findall(r'[0-9]+', words.partition('give size ')[2])
    return [(name, int(s)) for s in sizes] + [(other, None) for other in re.findall(r'such as ([\w/]+)', words)]

def examine(name, sizes=SIZES, onnx=()):
    "Fail unless an architecture works, or is refused with what serves"
    row = Row(name)
    for size in sizes:
        set_seed(0)
        try: encoder = create_encoder(name, size=size)
        except InputError as e:
            row.refused[size] = str(e)
            continue
        if not row.maps: check_kept(encoder, name)
        row.maps[size] = check_features(encoder, size)
        if len(row.maps) > 1: continue
        row.parameters, row.stages = sum(p.numel() for p in encoder.parameters()), encoder.n_stages
        row.trained = share_trained(encoder, size)
        train(encoder, size)
        row.difference = difference(encoder, size)
        row.exported = exported(encoder, size)
        if name in onnx: row.onnx = in_onnxruntime(encoder, size)
        assert row.trained > .99 and row.difference < 1e-5 and row.exported < 1e-4
    if row.refused: check_offers(row)
    return row

def check_offers(row):
    "Fail unless a refusal names the architecture, and what it offers works"
    size, words = next(iter(row.refused.items()))
    assert f"arch '{row.name}'" in words and ('; give ' in words)
    for name, other in offers(words): create_encoder(name, size=other or size)

def passes(name, f, done):
    "Print a line for one architecture, and return whether all went well; the row goes to `done`"
    try: done.append(f(name))
    except Exception:
        print(f'{name} failed\n{traceback.format_exc()}', flush=True)
        return False
    print(done[-1], flush=True)
    return True

def compared(name):
    "A line on a comparison with an architecture, as short as can be"
    with TemporaryDirectory() as folder:
        world = draw_world(f'{folder}/world', train=10, valid=3, test=3, classes=['house', 'car'], size=32)
        compare(world, arch=name, size=32, epochs=1, labels='4', seeds=1, steps=[1], bs=4, lrs=[1e-3], say=noop)
    return f'{name} went through a comparison'

def record(row):
    "A row of the CSV"
    at = {f'map_{s}': '×'.join(map(str, row.maps[s])) if s in row.maps else 'refused' for s in SIZES}
    why = next(iter(row.refused.values()), '')
    return dict(arch=row.name, **at, parameters=row.parameters, stages=row.stages, saved=row.difference,
                exported=row.exported, onnx=row.onnx, refusal=why, timm=timm.__version__) | machine()

def main(names, out):
    "A line for each architecture; the exit code is 1 if one fails"
    rows, more, failed = [], [], []
    for name in names:
        if not passes(name, partial(examine, onnx=ONNX), rows): failed.append(name)
        if out: pd.DataFrame(map(record, rows)).to_csv(out, index=False)
    failed += [name for name in COMPARED if not passes(name, compared, more)]
    print(f"{len(names)} architectures, {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")
    sys.exit(bool(failed))

if __name__ == '__main__':
    warnings.filterwarnings('ignore')  # such as GoogLeNet's, of how it may draw its weights one day
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*', metavar='ARCH')
    parser.add_argument('--out')
    args = parser.parse_args()
    main(args.names or TORCHVISION + [f'timm/{name}' for name in TIMM], args.out)
