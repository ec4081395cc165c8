"""The settings of Wan's parts, as their config.json states them: each one known, or the model is refused."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..failure import ImportFailure, refused

KNOWN_MODELS = "Wan 2.1 T2V 1.3B, Wan 2.1 T2V 14B, Wan 2.2 T2V A14B"
SIDE_MAX = 1 << 20
LAYERS_MAX = 512


@dataclass(frozen=True)
class TextConfig:
    """Of the UMT5 encoder, in transformers' words."""

    vocab_size: int
    d_model: int
    d_kv: int
    d_ff: int
    num_layers: int
    num_heads: int
    relative_attention_num_buckets: int
    relative_attention_max_distance: int
    layer_norm_epsilon: float


@dataclass(frozen=True)
class TransformerConfig:
    """In diffusers' words."""

    num_attention_heads: int
    attention_head_dim: int
    in_channels: int
    out_channels: int
    text_dim: int
    freq_dim: int
    ffn_dim: int
    num_layers: int
    eps: float = 1e-6
    rope_max_seq_len: int = 1024
    cross_attn_norm: bool = True
    patch_size: tuple[int, ...] = (1, 2, 2)

    @property
    def width(self) -> int:
        return self.num_attention_heads * self.attention_head_dim


@dataclass(frozen=True)
class VaeConfig:
    """In diffusers' words."""

    base_dim: int
    z_dim: int
    dim_mult: tuple[int, ...]
    num_res_blocks: int
    temperal_downsample: tuple[bool, ...]
    latents_mean: tuple[float, ...]
    latents_std: tuple[float, ...]

    @property
    def stride_space(self) -> int:
        return 2 ** (len(self.dim_mult) - 1)

    @property
    def stride_time(self) -> int:
        return 2 ** sum(self.temperal_downsample)


@dataclass(frozen=True)
class SchedulerConfig:
    kind: str  # "unipc" or "euler"
    shift: float


# What a field has to be, where nothing else can be run. None: any value, which shapes nothing here.
TRANSFORMER_FIXED = {
    "qk_norm": "rms_norm_across_heads", "image_dim": None, "added_kv_proj_dim": None, "pos_embed_seq_len": None,
    "cross_attn_norm": True,
}  # fmt: skip
VAE_FIXED = {
    "attn_scales": [], "decoder_base_dim": None, "is_residual": False, "in_channels": 3, "out_channels": 3,
    "patch_size": None,
}  # fmt: skip
VAE_FREE = ("dropout", "scale_factor_temporal", "scale_factor_spatial", "clip_output")
TEXT_FIXED = {"feed_forward_proj": "gated-gelu", "is_gated_act": True, "dense_act_fn": "gelu_new", "model_type": "umt5"}
# Of the decoder, of training, of whoever saved it.
TEXT_FREE = (
    "architectures", "bos_token_id", "chunk_size_feed_forward", "classifier_dropout", "decoder_start_token_id",
    "dropout_rate", "dtype", "eos_token_id", "id2label", "initializer_factor", "is_decoder", "is_encoder_decoder",
    "label2id", "num_decoder_layers", "output_attentions", "output_hidden_states", "output_past", "pad_token_id",
    "problem_type", "return_dict", "scalable_attention", "tie_word_embeddings", "tokenizer_class", "torch_dtype",
    "transformers_version", "use_cache",
)  # fmt: skip
UNIPC_FIXED = {
    "num_train_timesteps": 1000, "prediction_type": "flow_prediction", "use_flow_sigmas": True, "solver_order": 2,
    "solver_type": "bh2", "predict_x0": True, "thresholding": False, "lower_order_final": True, "disable_corrector": [],
    "solver_p": None, "use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False,
    "final_sigmas_type": "zero", "rescale_betas_zero_snr": False, "use_dynamic_shifting": False,
    "timestep_spacing": "linspace", "steps_offset": 0, "shift_terminal": None, "sigma_min": None, "sigma_max": None,
}  # fmt: skip
# Without effect beside the fixed ones.
UNIPC_FREE = ("beta_start", "beta_end", "beta_schedule", "trained_betas", "dynamic_thresholding_ratio", "sample_max_value",
              "time_shift_type")  # fmt: skip
EULER_FIXED = {
    "num_train_timesteps": 1000, "use_dynamic_shifting": False, "invert_sigmas": False, "shift_terminal": None,
    "use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False, "stochastic_sampling": False,
}  # fmt: skip
EULER_FREE = ("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "time_shift_type")


def text_config(where: str, fields: dict) -> TextConfig:
    return _read(where, fields, TextConfig, TEXT_FIXED, TEXT_FREE, defaults={
        "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6})  # fmt: skip


def transformer_config(where: str, fields: dict) -> TransformerConfig:
    if fields.get("image_dim") is not None or fields.get("added_kv_proj_dim") is not None:
        raise unknown_model(where, "it takes a picture beside the prompt")
    config = _read(where, fields, TransformerConfig, TRANSFORMER_FIXED, (), defaults={"eps": 1e-6, "rope_max_seq_len": 1024})
    if config.in_channels != config.out_channels:
        raise unknown_model(where, f"it takes {config.in_channels} channels and gives {config.out_channels}")
    if len(config.patch_size) != 3 or config.patch_size[0] != 1:
        raise refused(where, f"patch_size is {list(config.patch_size)}; known is [1, 2, 2]")
    return config


def vae_config(where: str, fields: dict) -> VaeConfig:
    if fields.get("is_residual") or fields.get("patch_size") is not None:
        raise unknown_model(where, "its VAE is that of Wan 2.2 TI2V 5B")
    config = _read(where, fields, VaeConfig, VAE_FIXED, VAE_FREE, defaults={})
    sides = {"dim_mult": len(config.temperal_downsample) + 1, "latents_mean": config.z_dim, "latents_std": config.z_dim}
    for name, length in sides.items():
        if len(getattr(config, name)) != length:
            raise refused(where, f"{name} has {len(getattr(config, name))} values; with its other settings it must have {length}")
    if any(std <= 0 for std in config.latents_std):
        raise refused(where, "latents_std must be above zero")
    return config


def scheduler_config(where: str, fields: dict) -> SchedulerConfig:
    name = fields.get("_class_name")
    kinds = {"UniPCMultistepScheduler": ("unipc", "flow_shift", UNIPC_FIXED, UNIPC_FREE),
             "FlowMatchEulerDiscreteScheduler": ("euler", "shift", EULER_FIXED, EULER_FREE)}  # fmt: skip
    if name not in kinds:
        raise refused(where, f"the scheduler {name} is not known here; known are {' and '.join(kinds)}")
    kind, shift_name, fixed, free = kinds[name]
    if kind == "unipc":
        fields = {"prediction_type": "epsilon", "use_flow_sigmas": False, **fields}  # what is meant where they are missing
    shift = fields.get(shift_name, 1.0)
    _check_fields(where, {k: v for k, v in fields.items() if k != shift_name}, fixed, free, known=(shift_name,))
    if type(shift) not in (int, float) or not 0 < shift <= 1000:
        raise refused(where, f"{shift_name} is {shift!r}; it must be a number above 0")
    return SchedulerConfig(kind, float(shift))


def model_name(transformer: TransformerConfig, experts: int) -> str:
    known = {(1536, 30, 1): "Wan 2.1 T2V 1.3B", (5120, 40, 1): "Wan 2.1 T2V 14B", (5120, 40, 2): "Wan 2.2 T2V A14B"}
    size = transformer.width, transformer.num_layers, experts
    return known.get(size, f"Wan T2V, {size[1]} blocks of width {size[0]}" + (", two experts" if experts == 2 else ""))


def unknown_model(where: object, why: str) -> ImportFailure:
    return refused(where, f"no model that Kiln imports: {why}. Known are {KNOWN_MODELS}")


def _read(where: str, fields: dict, kind: type, fixed: dict, free: tuple, defaults: dict):
    wanted = kind.__annotations__
    values = {**defaults, **{k: v for k, v in fields.items() if k in wanted}}
    others = {k: v for k, v in fields.items() if k not in wanted}
    _check_fields(where, {**others, **{k: v for k, v in fields.items() if k in fixed}}, fixed, free, known=tuple(wanted))
    converted = {name: _value(where, name, values[name], annotation)
                 for name, annotation in wanted.items() if name in values}  # fmt: skip
    try:
        return kind(**converted)
    except TypeError:
        absent = next(name for name in wanted if name not in values)
        raise refused(where, f"{absent} is missing") from None


def _check_fields(where: str, fields: dict, fixed: dict, free: tuple, known: tuple) -> None:
    for name, value in fields.items():
        if name.startswith("_") or name in free:
            continue
        if name not in fixed:
            raise refused(where, f"the unknown field {name}: what it would change is not known here. "
                                 f"Known are {', '.join(sorted({*known, *fixed}))}")  # fmt: skip
        if value != fixed[name]:
            raise refused(where, f"{name} is {value!r}; only {fixed[name]!r} can be run")


def _value(where: str, name: str, value: object, annotation: str):
    if annotation.startswith("tuple"):
        inner = annotation[len("tuple[") :].split(",")[0]
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= 256:
            raise refused(where, f"{name} must be a list")
        return tuple(_value(where, name, item, inner) for item in value)
    kinds = {"int": (int,), "float": (int, float), "bool": (bool,)}[annotation]
    if type(value) not in kinds:
        raise refused(where, f"{name} is {value!r}; it must be of type {annotation}")
    if annotation == "int" and not 1 <= value <= (LAYERS_MAX if name == "num_layers" else SIDE_MAX):
        raise refused(where, f"{name} is {value}, which no model has")
    return float(value) if annotation == "float" else value


def as_arguments(config: object) -> dict:
    """For the constructors of diffusers and transformers."""
    return {k: list(v) if isinstance(v, tuple) and k != "patch_size" else v for k, v in asdict(config).items()}
