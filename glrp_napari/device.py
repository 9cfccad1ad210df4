"""Where networks run: choosing the device, the number format that pays on it, and stepping down when memory ends."""

from dataclasses import dataclass, replace

import torch

_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


class DeviceError(ValueError):
    """The asked-for device is not there; says what is."""


@dataclass(frozen=True)
class Placement:
    """A device, the number format for autocast (None: plain float32) and how many slices go through at once."""

    device: torch.device
    autocast: torch.dtype | None
    batch: int


def list_devices() -> tuple[str, ...]:
    """The devices of this machine, fastest first."""
    found = ["cuda"] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return (*found, "cpu")


def choose_placement(name: str = "auto", batch: int = 32) -> Placement:
    """The placement for a device name; `auto` takes CUDA, then MPS, then the CPU. Raises DeviceError."""
    devices = list_devices()
    if name not in ("auto", *devices):
        raise DeviceError(f"device {name}: not available, expected auto or one of {', '.join(devices)}")
    device = torch.device(devices[0] if name == "auto" else name)
    return Placement(device, _choose_autocast(device), batch)


def step_down(placement: Placement) -> tuple[Placement, str]:
    """The next smaller placement after running out of memory, and the sentence that tells the user.

    Half the batch first, then the CPU. Raises MemoryError when there is nothing smaller.
    """
    if placement.batch > 1:
        smaller = replace(placement, batch=placement.batch // 2)
        return (
            smaller,
            f"Memory of the {placement.device.type} device ran out: going on with {smaller.batch} slices at once.",
        )
    if placement.device.type != "cpu":
        cpu = choose_placement("cpu", batch=8)
        return cpu, f"Memory of the {placement.device.type} device ran out: going on on the CPU, which is slower."
    raise MemoryError("memory ran out with one slice at a time on the CPU: expected at least 1 GB free")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; the CPU's allocator raises a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


def _choose_autocast(device: torch.device) -> torch.dtype | None:
    """bf16 only where the CPU computes in it (elsewhere it is emulated and slower); bf16 or fp16 on a GPU."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        features: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch < 2.9 cannot tell
        fast = features.get("avx512_bf16") or features.get("amx_bf16") or features.get("arm_bf16")
        return torch.bfloat16 if fast else None
    return None
