"""`python -m detectors.training`: train a network on folders of pictures with boxes."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from detectors.training.data import Folder
from detectors.training.schedule import Schedule
from detectors.training.trainer import Recipe, Trainer

STREET_CLASSES = "person,car,motorcycle,bus,truck"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m detectors.training", description=__doc__)
    p.add_argument("--data", action="append", required=True, metavar="PATH[:SHARE]")
    p.add_argument("--out", type=Path, required=True, help="directory of the run")
    p.add_argument("--variant", default="yolo_nas_n")
    p.add_argument("--classes", default=STREET_CLASSES, help="names, in the order of the index")
    p.add_argument("--pictures", type=int, default=250_000, help="the whole budget")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--warmup", type=int, default=16_000, help="pictures")
    p.add_argument("--sizes", default="0:256,0.6:320", help="PROGRESS:SIDE_PX, ...")
    p.add_argument("--weight-decay", type=float, default=0.03)
    p.add_argument("--ema", type=float, default=0.999)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    p.add_argument("--float32", action="store_true", help="no bfloat16 in the network")
    p.add_argument("--evaluate-s", type=float, default=720.0)
    p.add_argument("--resume", action="store_true", help="go on from OUT/last.pth")
    return p


def recipe(args: argparse.Namespace) -> Recipe:
    """The recipe that the arguments describe."""
    sizes = tuple((float(a), int(b)) for a, b in (s.split(":") for s in args.sizes.split(",")))
    return Recipe(
        variant=args.variant,
        class_names=tuple(args.classes.split(",")),
        folders=tuple(Folder.parse(text) for text in args.data),
        schedule=Schedule(args.pictures, args.lr, warmup=args.warmup, sizes_px=sizes),
        batch=args.batch,
        seed=args.seed,
        weight_decay=args.weight_decay,
        ema_limit=args.ema,
        bf16=not args.float32,
    )


def main() -> None:
    """Train as the command line says."""
    args = parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.threads:
        torch.set_num_threads(args.threads)
    trainer = Trainer(recipe(args), args.out, resume=args.resume)
    trainer.pace.evaluate_s = args.evaluate_s
    trainer.run()


if __name__ == "__main__":
    main()
