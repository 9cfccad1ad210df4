"""A data set in which a model's masks stand for those of all but the first patients of the training part.

    glrp score --dataset acdc.json --split train --model glrp-k10 --out MASKS
    python training/experiments/label_by_model.py acdc.json --masks MASKS --labelled 10 --out taught.json
    glrp finetune --dataset taught.json --base glrp-encoder --name distilled --phantoms 0 --steps 2000

Is one network that learns from the fused three as good as they are? The images without masks are what it learns on, so
this is semi-supervision too (method §8); validation and test keep their readers' masks.
"""

from argparse import ArgumentParser
from pathlib import Path

from glrp_training.dataset import load_dataset

from glrp_napari.reading.names import study_name
from glrp_napari.writing.atomic import write_atomically


def main() -> None:
    """Write the data set's description."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--masks", type=Path, required=True, help="Folder with <image's name>_mask.nii.gz.")
    parser.add_argument("--labelled", type=int, required=True, help="So many patients keep their own masks.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset = load_dataset(options.dataset)
    taught = set(dataset.select("train")) - set(dataset.select("train", options.labelled))
    masks = {item: options.masks.absolute() / f"{study_name(item.image)}_mask.nii.gz" for item in taught}
    if missing := sorted(path.name for path in masks.values() if not path.exists()):
        parser.error(f"{options.masks}: found no {missing[0]}, expected masks of {len(masks)} images")
    items = tuple(item.model_copy(update={"mask": masks.get(item, item.mask)}) for item in dataset.items)
    described = dataset.model_copy(update={"name": f"{dataset.name}, taught by a model", "items": items})
    write_atomically(options.out, described.model_dump_json(indent=1).encode() + b"\n")
    print(f"{len(masks)} images of {len({item.patient for item in taught})} patients are labelled by the model")


if __name__ == "__main__":
    main()
