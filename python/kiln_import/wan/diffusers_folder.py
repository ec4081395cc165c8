"""Reads a folder as diffusers saves a pipeline: settings, shards, tokenizer. Nothing in it is run."""

from __future__ import annotations

import json
import os

from ..failure import first_line, missing, refused
from .configs import scheduler_config, text_config, transformer_config, unknown_model, vae_config
from .sources import ModelTensor, WanModel, WeightSet
from .stored_tensors import StoredTensor, read_tensors
from .tokenizer import check_tokenizer

JSON_BYTES_MAX = 64 << 20
INDEX_FILES_MAX = 1024
# Classes that a part may have.
CLASSES = {
    "transformer": "WanTransformer3DModel", "transformer_2": "WanTransformer3DModel", "vae": "AutoencoderKLWan",
    "text_encoder": "UMT5EncoderModel",
}  # fmt: skip
PIPELINE_FIELDS = (*CLASSES, "scheduler", "tokenizer", "boundary_ratio", "expand_timesteps")
WEIGHT_FILES = {"text_encoder": "model.safetensors"}
DEFAULT_WEIGHT_FILE = "diffusion_pytorch_model.safetensors"


def read_folder(folder: str) -> WanModel:
    index = _read_json(os.path.join(folder, "model_index.json"), folder)
    experts = _check_pipeline(folder, index)
    transformers = [_config(folder, name, transformer_config) for name in experts]
    if len(set(transformers)) != 1:
        raise refused(folder, "the two experts differ in their settings; both must be of one architecture")
    text = _config(folder, "text_encoder", text_config)
    vae = _config(folder, "vae", vae_config)
    scheduler_path = os.path.join(folder, "scheduler", "scheduler_config.json")
    return WanModel(
        name=os.path.basename(os.path.abspath(folder)), text=text, transformer=transformers[0], vae=vae,
        scheduler=scheduler_config(scheduler_path, _read_json(scheduler_path, folder)),
        weights=[_weights(folder, name) for name in ("text_encoder", *experts, "vae")],
        tokenizer=_tokenizer(folder, text), boundary_ratio=_boundary_ratio(folder, index, experts),
    )  # fmt: skip


def _check_pipeline(folder: str, index: dict) -> list[str]:
    """The names of the transformers."""
    if index.get("_class_name") != "WanPipeline":
        raise unknown_model(folder, f"its pipeline is {index.get('_class_name')}")
    if index.get("expand_timesteps"):
        raise unknown_model(folder, "it is Wan 2.2 TI2V 5B")
    for name, value in index.items():
        if name.startswith("_"):
            continue
        if name not in PIPELINE_FIELDS:
            raise refused(os.path.join(folder, "model_index.json"), f"the unknown field {name}; known are {', '.join(PIPELINE_FIELDS)}")
        expected = CLASSES.get(name)
        if expected and value != [None, None] and (not isinstance(value, list) or value[-1] != expected):
            raise refused(os.path.join(folder, "model_index.json"), f"{name} is {value!r}; it must be of class {expected}")
    second = index.get("transformer_2")
    return ["transformer", "transformer_2"] if second and second != [None, None] else ["transformer"]


def _boundary_ratio(folder: str, index: dict, experts: list[str]) -> float | None:
    ratio = index.get("boundary_ratio")
    if len(experts) == 1:
        if ratio is not None:
            raise refused(folder, "model_index.json has a boundary_ratio, but there is no transformer_2")
        return None
    if type(ratio) not in (int, float) or not 0 < ratio < 1:
        raise refused(folder, f"boundary_ratio is {ratio!r}; with two transformers it must lie between 0 and 1")
    return float(ratio)


def _config(folder: str, part: str, read):
    path = os.path.join(folder, part, "config.json")
    return read(path, _read_json(path, folder))


def _read_json(path: str, folder: str) -> dict:
    if not os.path.isdir(folder):
        raise missing(folder, "no such folder")
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read(JSON_BYTES_MAX))
    except FileNotFoundError:
        raise missing(folder, f"{os.path.relpath(path, folder)} is missing; it is in every folder that diffusers saves") from None
    except (ValueError, RecursionError) as error:
        raise refused(path, f"no JSON ({first_line(error)})") from None
    if not isinstance(document, dict):
        raise refused(path, "holds no settings")
    return document


def _weights(folder: str, name: str) -> WeightSet:
    where = os.path.join(folder, name)
    file = WEIGHT_FILES.get(name, DEFAULT_WEIGHT_FILE)
    stored = _sharded(where, f"{file}.index.json") if os.path.exists(os.path.join(where, f"{file}.index.json")) else None
    if stored is None:
        if not os.path.exists(os.path.join(where, file)):
            there = sorted(f for f in os.listdir(where) if f.endswith((".safetensors", ".bin")))
            hint = f"there is {', '.join(there[:3])}" if there else "fetch the folder again"
            raise missing(where, f"{file} is missing, and {file}.index.json too; {hint}")
        stored = read_tensors(os.path.join(where, file))
    part = "transformer" if name.startswith("transformer") else name
    ignored = ("encoder.", "quant_conv.") if part == "vae" else ()
    tensors = {key: ModelTensor(tensor) for key, tensor in stored.items()}
    twin = tensors.pop("encoder.embed_tokens.weight", None) if part == "text_encoder" else None
    if twin is not None:  # the same tensor under its other name; either may be missing
        tensors.setdefault("shared.weight", twin)
    return WeightSet(name, part, where, tensors, ignored)


def _sharded(where: str, index_name: str) -> dict[str, StoredTensor]:
    path = os.path.join(where, index_name)
    names = _read_json(path, where).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(f, str) for f in names.values()):
        raise refused(path, "has no weight_map")
    files = sorted(set(names.values()))
    if len(files) > INDEX_FILES_MAX or any(os.path.basename(f) != f or not f.endswith(".safetensors") for f in files):
        raise refused(path, "names files that are no shards beside it")
    for position, file in enumerate(files, 1):
        if not os.path.exists(os.path.join(where, file)):
            raise missing(where, f"the shard {file} ({position} of {len(files)}) is missing; fetch the folder again")
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for name, tensor in read_tensors(os.path.join(where, file)).items():
            if names.get(name) != file:
                raise refused(path, f"does not say that {name} is in {file}; fetch the folder again")
            tensors[name] = tensor
    for name, file in names.items():
        if name not in tensors:
            raise refused(path, f"says that {name} is in {file}, where it is not; fetch the folder again")
    return tensors


def _tokenizer(folder: str, text) -> bytes:
    path = os.path.join(folder, "tokenizer", "spiece.model")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise missing(folder, "tokenizer/spiece.model is missing: the tokenizer is needed in sentencepiece's own format") from None
    check_tokenizer(path, data, text.vocab_size)
    return data
