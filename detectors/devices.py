"""Where the arithmetic is done."""

import torch


def check_device(name: str) -> None:
    """Refuse a device that is not there, before anything runs.

    Raises:
        ValueError: not a device of torch, or one that this machine or this installation of torch lacks.
    """
    try:
        kind = torch.device(name).type
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'Expected device "cpu" or "cuda" (or "cuda:1"), found "{name}".') from error
    if kind == "cpu":
        return
    if kind != "cuda":
        raise ValueError(f'Expected device "cpu" or "cuda" (or "cuda:1"), found "{name}".')
    if not torch.cuda.is_available():
        raise ValueError(
            f'There is no GPU for device "{name}" that torch can use: none is in this machine, or its driver '
            'is missing. Use device "cpu".'
        )
    index = torch.device(name).index
    if index is not None and index >= torch.cuda.device_count():
        raise ValueError(f'Expected one of {torch.cuda.device_count()} GPUs, counted from 0, found "{name}".')
