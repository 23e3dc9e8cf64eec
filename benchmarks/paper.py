"Rotation with the augmentation of the paper, a random crop and a mirror image."
from selfsup.all import CropFlip, Rotation

class CroppedRotation(Rotation):
    "Each photo is cropped and mirrored by its own draw, before it is turned"
    def augment(self): return [CropFlip()]
