"""A data set as another scanner would show it, or another rule label it (`glrp_training.domains`), written to files.

    python training/experiments/move_dataset.py acdc.json --domain inverted --patients 43 --out DIR
    glrp finetune --dataset DIR/dataset.json --base base35.safetensors --name full --validate-on none --steps 1000

What full supervision reaches in a domain, beside which `simulate_labels.py` puts few labels. The first so many patients
of the training part are moved.
"""

from argparse import ArgumentParser
from pathlib import Path

from glrp_training.dataset import Dataset, Item, load_dataset
from glrp_training.domains import DOMAINS
from glrp_training.score import list_cases
from glrp_training.simulate import move

from glrp_napari.writing.atomic import write_atomically
from glrp_napari.writing.masks import write_images, write_mask


def main() -> None:
    """Write every labelled frame and its mask as NIfTI, and the data set's description."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--domain", choices=list(DOMAINS), required=True)
    parser.add_argument("--patients", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset: Dataset = load_dataset(options.dataset)
    chosen = dataset.model_copy(update={"items": dataset.select_labelled("train", options.patients)})
    options.out.mkdir(parents=True, exist_ok=True)
    items = []
    for case in list_cases(chosen, "train"):
        moved = move(case, DOMAINS[options.domain])
        image, mask = (options.out.absolute() / f"{case.name}{end}.nii.gz" for end in ("", "_mask"))
        write_images(image, moved.cine.images, moved.cine)
        write_mask(mask, moved.truth, moved.cine)
        items.append(Item(image=image, mask=mask, patient=case.patient, phase=case.phase))
    described = chosen.model_copy(update={"items": tuple(items), "label_map": {}})
    write_atomically(options.out / "dataset.json", described.model_dump_json(indent=1).encode() + b"\n")
    print(f"{len(items)} frames of {options.patients} patients in {options.out}")


if __name__ == "__main__":
    main()
