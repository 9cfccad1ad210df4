"""The commands that train: `glrp dataset` and `glrp finetune`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from glrp_napari.device import choose_placement
from glrp_napari.messages import FinetuneDone, Validated, describe_comparison
from glrp_napari.models import DEFAULT_MODEL, Architecture, find_model
from glrp_napari.progress import show_progress
from glrp_napari.segment import Segmenter
from glrp_napari.session import default_session
from glrp_napari.weights import load_network
from glrp_napari.writing.atomic import write_atomically
from glrp_training.adapt import adapt
from glrp_training.dataset import describe_acdc, load_dataset
from glrp_training.evaluate import Score, print_scores, save_scores
from glrp_training.finetune import FinetuneSettings
from glrp_training.fit import DatasetFit, fit_dataset
from glrp_training.score import list_cases, make_cases, score_cases

console = Console()
Device = Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")]


def register(app: typer.Typer) -> None:
    """Add the training commands to the command line."""
    app.command()(dataset)
    app.command()(finetune)
    app.command()(score)


def dataset(
    acdc: Annotated[Path, typer.Argument(help="ACDC's training folder, with patient001 … in it.", show_default=False)],
    split: Annotated[Path, typer.Option(help="JSON with the patients of labelled_order, val and test.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Describe the ACDC training set in a file that `glrp finetune --dataset` reads."""
    found = describe_acdc(acdc, split)
    write_atomically(out, found.model_dump_json(indent=1).encode() + b"\n")
    console.print(f"{len(found.items)} labelled frames in {out}")


def finetune(
    name: Annotated[str, typer.Option(help="Name of the new model.")],
    library: Annotated[Path | None, typer.Option(help="Adapt to the labels in this folder.")] = None,
    dataset: Annotated[Path | None, typer.Option(help="Or train on a data set described by this file.")] = None,
    base: Annotated[str | None, typer.Option(help="Model to start from; with --dataset, none: from scratch.")] = None,
    models: Annotated[Path | None, typer.Option(help="Folder for the new model; default: the session's.")] = None,
    device: Device = "auto",
    title: Annotated[str | None, typer.Option(help="With --dataset: the model's title.")] = None,
    split: Annotated[str, typer.Option(help="With --dataset: the part to train on, or all.")] = "train",
    labelled: Annotated[int | None, typer.Option(help="With --dataset: only the first so many patients.")] = None,
    validate_on: Annotated[
        str, typer.Option(help="With --dataset: the part that picks the best step, or none.")
    ] = "val",
    steps: Annotated[int, typer.Option(help="With --dataset: optimisation steps.")] = FinetuneSettings().steps,
    width: Annotated[int, typer.Option(help="With --dataset: filters of the first block.")] = Architecture().width,
    phantoms: Annotated[int, typer.Option(help="With --dataset: phantom hearts in the mix.")] = 60,
    seed: Annotated[int, typer.Option(help="With --dataset: seed of all that is random.")] = 0,
) -> None:
    """Fine-tune a model on a label library, or train one on a described data set."""
    folder = models or default_session().models
    if (library is None) == (dataset is None):
        raise ValueError("found neither or both of --library and --dataset, expected one of them")
    if library is not None:
        _adapt(library, base or DEFAULT_MODEL, folder, name, device)
        return
    assert dataset is not None
    settings = DatasetFit(
        split=split,
        labelled=labelled,
        validate_on=None if validate_on == "none" else validate_on,
        phantoms=phantoms,
        architecture=Architecture(width=width),
        finetuning=FinetuneSettings(steps=steps, seed=seed),
    )
    parent = find_model(base, [default_session().models]) if base else None
    events = fit_dataset(load_dataset(dataset), settings, folder, name, title or name, choose_placement(device), parent)
    for event in show_progress(events):
        if isinstance(event, Validated):
            console.print(f"step {event.step}: " + ", ".join(f"{k} {v:.3f}" for k, v in event.dice.items()))
    console.print(f"{folder / name}.safetensors")


def score(
    out: Annotated[Path, typer.Option(help="Folder for the masks, scores.csv and scores.json.")],
    dataset: Annotated[Path | None, typer.Option(help="A data set described by this file.")] = None,
    split: Annotated[str, typer.Option(help="The part of the data set, or all.")] = "test",
    phantoms: Annotated[int, typer.Option(help="Or so many phantom hearts that training never sees.")] = 0,
    model: Annotated[str, typer.Option(help="A name `glrp models` lists, or a .safetensors file.")] = DEFAULT_MODEL,
    crf: Annotated[bool, typer.Option(help="Refine with a dense CRF (needs the extra crf).")] = False,
    device: Device = "auto",
) -> None:
    """Score a model on a labelled data set, or on phantoms: Dice, HD, HD95 and ASSD a structure."""
    if (dataset is None) == (phantoms == 0):
        raise ValueError("found neither or both of --dataset and --phantoms, expected one of them")
    found = find_model(model, [default_session().models])
    segmenter = Segmenter(load_network(found), found.card.preprocessing, choose_placement(device))
    cases = list_cases(load_dataset(dataset), split) if dataset else make_cases(phantoms)
    out.mkdir(parents=True, exist_ok=True)
    scores = [event for event in show_progress(score_cases(cases, segmenter, crf, out)) if isinstance(event, Score)]
    save_scores(scores, out)
    print_scores(scores)


def _adapt(library: Path, base: str, folder: Path, name: str, device: str) -> None:
    model = find_model(base, [default_session().models, folder])
    for event in show_progress(adapt(library, model, folder, name, choose_placement(device))):
        if isinstance(event, FinetuneDone):
            console.print(f"{event.model}: {describe_comparison(event.comparison)}")
