"""The commands that learn and measure: `glrp dataset`, `pretrain`, `finetune`, `refit`, `study` and `score`."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markdown import Markdown

from glrp_napari import messages
from glrp_napari.device import choose_placement
from glrp_napari.gate import decide
from glrp_napari.messages import FinetuneDone, Validated
from glrp_napari.models import (
    DEFAULT_MODEL,
    Architecture,
    Preprocessing,
    find_base,
    find_model,
    find_parent,
    list_models,
)
from glrp_napari.progress import collect, show_progress
from glrp_napari.reading import read_cine
from glrp_napari.refine import CrfSettings, Engine
from glrp_napari.segment import open_model
from glrp_napari.session import default_session
from glrp_napari.writing.atomic import write_atomically
from glrp_training.adapt import adapt
from glrp_training.cache import default_cache
from glrp_training.dataset import Dataset, describe_acdc, describe_folder, load_dataset
from glrp_training.evaluate import Score, assign_phases, print_scores, save_scores
from glrp_training.finetune import FinetuneSettings
from glrp_training.fit import DatasetFit, fit_dataset
from glrp_training.score import count_cases, list_cases, make_cases, score_cases
from glrp_training.targets import STRATEGIES

console = Console()
Device = Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")]
Crf = Annotated[bool, typer.Option(help="Refine with a dense CRF.")]
CrfEngine = Annotated[Engine, typer.Option(help="What computes the CRF: auto takes ours, grid.")]
Cache = Annotated[Path, typer.Option(help="Folder for preprocessed slices.")]
ADAPTING, TRAINING, BUILDING = "With --library", "With --dataset", "With --dataset and no --base"
_adapting = partial(typer.Option, rich_help_panel=ADAPTING)
_training = partial(typer.Option, rich_help_panel=TRAINING)
_building = partial(typer.Option, rich_help_panel=BUILDING)


def register(app: typer.Typer) -> None:
    """Add the training commands to the command line."""
    for command in (dataset, pretrain, finetune, refit, study, score):
        app.command()(command)


def dataset(
    acdc: Annotated[Path, typer.Argument(help="ACDC's training folder, with patient001 … in it.", show_default=False)],
    split: Annotated[Path, typer.Option(help="JSON with the patients of labelled_order, val and test.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Describe the ACDC training set in a file that `glrp finetune --dataset` reads."""
    found = describe_acdc(acdc, split)
    write_atomically(out, found.model_dump_json(indent=1).encode() + b"\n")
    console.print(f"{len(found.items)} labelled frames in {out}")


def pretrain(
    out: Annotated[Path, typer.Option(help="The encoder's weights file to write: NAME.safetensors.")],
    studies: Annotated[
        list[Path] | None, typer.Argument(help="Folders of cines, which need no masks.", show_default=False)
    ] = None,
    dataset: Annotated[Path | None, typer.Option(help="Or a data set described by this file.")] = None,
    split: Annotated[str, typer.Option(help="With --dataset: the part whose images are used, or all.")] = "train",
    strategy: Annotated[str, typer.Option(help=f"One of {', '.join(list(STRATEGIES)[1:])}.")] = "glrp",
    epochs: Annotated[int, typer.Option(help="Passes over the slices.")] = 200,
    steps: Annotated[int | None, typer.Option(help="Optimisation steps, in place of epochs.")] = None,
    width: Annotated[int, typer.Option(help="Filters of the first block.")] = Architecture().width,
    size: Annotated[int, typer.Option(help="Side of the network's square in pixels.")] = Preprocessing().size,
    spacing: Annotated[float, typer.Option(help="Side of its pixels in mm.")] = Preprocessing().spacing_mm,
    n4: Annotated[bool, typer.Option(help="Correct the bias field first.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of all that is random.")] = 0,
    cache: Cache = default_cache(),
    device: Device = "auto",
) -> None:
    """Pre-train an encoder on studies without labels (with torchrun: on several GPUs or machines)."""
    from glrp_training.encode import EncoderFit, fit_encoder  # Fabric takes a second that no other command should
    from glrp_training.pretrain import PretrainSettings

    _check_one("STUDIES", studies, "--dataset", dataset)
    found = load_dataset(dataset) if dataset else _describe_studies(studies or [])
    own = PretrainSettings(strategy=strategy, seed=seed, steps=steps or PretrainSettings().steps)
    settings = EncoderFit(
        split=split,
        epochs=None if steps else epochs,
        architecture=Architecture(width=width),
        preprocessing=Preprocessing(spacing_mm=spacing, size=size, n4=n4),
        pretraining=own,
    )
    _run(fit_encoder(found, settings, out.parent, out.stem, choose_placement(device), cache))
    console.print(f"{out.with_suffix('.safetensors')}")


def finetune(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Name of the new model.")],
    library: Annotated[Path | None, typer.Option(help="Adapt to the labels in this folder.")] = None,
    dataset: Annotated[Path | None, typer.Option(help="Or train on a data set described by this file.")] = None,
    base: Annotated[
        str | None, typer.Option(help=f"Model or encoder to start from; for --library: {DEFAULT_MODEL}.")
    ] = None,
    models: Annotated[Path | None, typer.Option(help="Folder for the new model; default: the session's.")] = None,
    device: Device = "auto",
    from_tuned: Annotated[bool, _adapting(help="Begin at --base itself, fine-tuned or not, not at its base.")] = False,
    study: Annotated[Path | None, _adapting(help="A study whose unlabelled slices take part and test the old.")] = None,
    series: Annotated[str | None, _adapting(help="Of a DICOM folder: which series.")] = None,
    title: Annotated[str | None, _training(help="The model's title.")] = None,
    split: Annotated[str, _training(help="The part to train on, or all.")] = "train",
    labelled: Annotated[int | None, _training(help="Only the first so many patients.")] = None,
    labelled_slices: Annotated[int | None, _training(help="Only so many slices of theirs.")] = None,
    unlabelled: Annotated[bool, _training(help="Learn from the part's other images too.")] = False,
    validate_on: Annotated[str, _training(help="The part that picks the best step, or none.")] = "val",
    steps: Annotated[int, _training(help="Optimisation steps.")] = FinetuneSettings().steps,
    phantoms: Annotated[int, _training(help="Phantom hearts in the mix.")] = 60,
    seed: Annotated[int, _training(help="Seed of all that is random.")] = 0,
    cache: Annotated[Path, _training(help="Folder for preprocessed slices.")] = default_cache(),
    width: Annotated[int, _building(help="Filters of the first block.")] = Architecture().width,
    size: Annotated[int, _building(help="Side of the network's square in pixels.")] = Preprocessing().size,
    spacing: Annotated[float, _building(help="Side of its pixels in mm.")] = Preprocessing().spacing_mm,
    n4: Annotated[bool, _building(help="Correct the bias field first.")] = False,
) -> None:
    """Fine-tune a model on a label library, or train one on a described data set."""
    _check_one("--library", library, "--dataset", dataset)
    _refuse_idle(context, *((TRAINING, BUILDING) if library else (ADAPTING, BUILDING) if base else (ADAPTING,)))
    folder = models or default_session().models
    if library is not None:
        _adapt(library, base or DEFAULT_MODEL, folder, name, device, from_tuned, study, series)
    if dataset is not None:
        parent = find_model(base, [default_session().models, folder]) if base else None
        settings = DatasetFit(
            split=split,
            labelled=labelled,
            labelled_slices=labelled_slices,
            unlabelled=unlabelled,
            validate_on=None if validate_on == "none" else validate_on,
            phantoms=phantoms,
            architecture=parent.card.architecture if parent else Architecture(width=width),
            preprocessing=parent.card.preprocessing if parent else Preprocessing(spacing_mm=spacing, size=size, n4=n4),
            finetuning=FinetuneSettings(steps=steps, seed=seed),
        )
        place = choose_placement(device)
        _run(fit_dataset(load_dataset(dataset), settings, folder, name, title or name, place, parent, cache))
        console.print(f"{folder / name}.safetensors")


def refit(
    model: Annotated[str, typer.Argument(help="The fine-tuned model.", show_default=False)],
    library: Annotated[Path | None, typer.Option(help="Its label library; default: the session's.")] = None,
    study: Annotated[Path | None, typer.Option(help="The study that was open, where its card names one.")] = None,
    series: Annotated[str | None, typer.Option(help="Of a DICOM folder: which series.")] = None,
    device: Device = "auto",
) -> None:
    """Make a fine-tuned model anew from its card and its labels, and say whether the weights are the same."""
    from glrp_training.refit import refit as refit_model

    folder = default_session().models
    found = find_model(model, [folder])
    known = list_models(folder, found.weights.parent)
    base = find_parent(found.card, known) or find_model(found.card.parent or "")
    with TemporaryDirectory() as scratch:
        file = _store_study(study, series, Path(scratch)) if study else None
        labels = library or default_session().labels
        outcome = collect(refit_model(found, base, labels, choose_placement(device), file))
    same = "the same weights" if outcome.is_same else "other weights"
    console.print(f"{found.card.name}: {same}, SHA-256 {outcome.found_sha256}")


def study(
    experiment: Annotated[Path, typer.Argument(help="The study's file, NAME or NAME.toml.", show_default=False)],
    dataset: Annotated[Path, typer.Option(help="A data set described by this file.")],
    out: Annotated[Path, typer.Option(help="Folder for networks, scores and tables; what is there is not repeated.")],
    cache: Cache = default_cache(),
    device: Device = "auto",
) -> None:
    """Compute every cell of a table, or what is missing of it, and write the table."""
    from glrp_training.study import load_study, read_outcomes, run_study  # as above, and Matplotlib
    from glrp_training.tables import write_tables

    plan = load_study(experiment.with_suffix(".toml"))
    _run(run_study(plan, load_dataset(dataset), out, choose_placement(device), cache))
    for path in write_tables(plan, read_outcomes(plan, out), out):
        console.print(f"{path}")
    console.print(Markdown((out / "table.md").read_text()))


def score(
    out: Annotated[Path, typer.Option(help="Folder for the masks, the scores and the agreement (CSV and JSON).")],
    dataset: Annotated[Path | None, typer.Option(help="A data set described by this file.")] = None,
    split: Annotated[str, typer.Option(help="The part of the data set, or all.")] = "test",
    phantoms: Annotated[int, typer.Option(help="Or so many phantom hearts that training never sees.")] = 0,
    model: Annotated[str, typer.Option(help="A name `glrp models` lists, or a .safetensors file.")] = DEFAULT_MODEL,
    crf: Crf = False,
    crf_engine: CrfEngine = "auto",
    device: Device = "auto",
) -> None:
    """Score a model on a labelled data set, or on phantoms: Dice, HD, HD95 and ASSD a structure."""
    _check_one("--dataset", dataset, "--phantoms", phantoms)
    found = find_model(model, [default_session().models])
    segmenter = open_model(found, choose_placement(device))
    data = load_dataset(dataset) if dataset else None
    cases = list_cases(data, split) if data else make_cases(phantoms)
    total = count_cases(data, split) if data else phantoms
    out.mkdir(parents=True, exist_ok=True)
    events = show_progress(score_cases(cases, segmenter, total, crf=choose_crf(crf, crf_engine), out=out))
    scores = [event for event in events if isinstance(event, Score)]
    scores = assign_phases(scores)
    save_scores(scores, out)
    print_scores(scores)


def choose_crf(crf: bool, engine: Engine) -> CrfSettings | None:
    """The CRF that the options ask for."""
    return CrfSettings(engine=engine) if crf else None


def _run(events: Iterable[messages.Event]) -> None:
    """Run a training to its end; its progress and what validation found are printed."""
    for event in show_progress(events):
        if isinstance(event, Validated):
            console.print(f"step {event.step}: " + ", ".join(f"{k} {v:.3f}" for k, v in event.dice.items()))


def _store_study(path: Path, series: str | None, folder: Path) -> messages.StudyFile:
    """A study as a job reads it."""
    cine = read_cine(path, series)
    np.save(folder / "study.npy", cine.images)
    return messages.StudyFile(images=folder / "study.npy", geometry=cine.geometry, name=cine.source.name)


def _check_one(name: str, value: object, other: str, value_of_other: object) -> None:
    if bool(value) == bool(value_of_other):
        raise ValueError(f"found neither or both of {name} and {other}, expected one of them")


def _refuse_idle(context: typer.Context, *panels: str) -> None:
    """Options that would do nothing here are refused: someone who gave them expects that they do."""
    for option in context.command.params:
        panel = getattr(option, "rich_help_panel", None)
        source = context.get_parameter_source(option.name or "")
        if panel in panels and source is not None and source.name == "COMMANDLINE":
            raise ValueError(f"found {option.opts[0]}, which does nothing here: expected it {str(panel).lower()} only")


def _describe_studies(folders: list[Path]) -> Dataset:
    """All studies in the folders as one data set; what could not be read is named."""
    parts = [describe_folder(folder) for folder in folders]
    for complaint in (text for _, complaints in parts for text in complaints):
        console.print(f"[yellow]{complaint}")
    items = tuple(
        item.model_copy(update={"patient": f"{number}/{item.patient}"})  # two folders may use the same names
        for number, (found, _) in enumerate(parts)
        for item in found.items
    )
    return Dataset(name=", ".join(folder.name for folder in folders), items=items)


def _adapt(
    library: Path,
    base: str,
    folder: Path,
    name: str,
    device: str,
    from_tuned: bool,
    study: Path | None,
    series: str | None,
) -> None:
    folders = (default_session().models, folder)
    chosen = find_model(base, folders)
    model = chosen if from_tuned else find_base(chosen, list_models(*folders))
    with TemporaryDirectory() as scratch:
        file = _store_study(study, series, Path(scratch)) if study else None
        events = adapt(library, model, folder, name, choose_placement(device), file, in_use=chosen)
        for event in show_progress(events):
            if isinstance(event, FinetuneDone):
                console.print(f"{event.model}: {decide(event.comparison).sentence}")
