"""Sets of pictures with boxes, read from what people have, and batches made of them. No torch.

dataset    Picture, Dataset, DataFault: what every format becomes
files      what any file of a set may say: text, names of classes, paths
read       read_dataset: index.jsonl, COCO JSON and YOLO folders
mixer      Mixer: batch k of a seed, the same for every number of processes
loader     Loader: a process that makes batches ahead
"""

from detectors.training.data.dataset import DataFault, Dataset, Picture
from detectors.training.data.index import STREET_CLASSES
from detectors.training.data.loader import Loader
from detectors.training.data.mixer import Batch, Folder, Mixer, draw_weights, rarity
from detectors.training.data.pixels import PixelCache, picture_size, read_image
from detectors.training.data.read import read_dataset

__all__ = [
    "STREET_CLASSES",
    "Batch",
    "DataFault",
    "Dataset",
    "Folder",
    "Loader",
    "Mixer",
    "Picture",
    "PixelCache",
    "draw_weights",
    "picture_size",
    "rarity",
    "read_dataset",
    "read_image",
]
