"""Tiny Wan models with seeded weights, saved as diffusers saves them: its own tiny configurations, but for a head of 128,
which is the size that files without settings mean."""

from __future__ import annotations

import io
import json
import os

import torch

TRANSFORMER = {
    "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 128, "in_channels": 16, "out_channels": 16,
    "text_dim": 32, "freq_dim": 256, "ffn_dim": 32, "num_layers": 2, "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 1024,
}  # fmt: skip
VAE = {"base_dim": 3, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1, "temperal_downsample": [False, True, True]}
TEXT = {"vocab_size": 96, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4,
        "feed_forward_proj": "gated-gelu"}  # fmt: skip
BOUNDARY_RATIO = 0.875


def randomise(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Every tensor is felt in the result: none stays at the zeros and ones that some are made with."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_gain = parameter.dim() == 1 and not name.endswith("bias") or name.endswith("gamma")
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 25
            parameter.copy_(1 + 0.2 * noise if is_gain else noise / fan_in**0.5)
    return module.eval().requires_grad_(False)


class TinyWan:
    def __init__(self, experts: int = 2):
        from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel
        from transformers import UMT5Config, UMT5EncoderModel

        self.transformers = [randomise(WanTransformer3DModel(**TRANSFORMER), seed) for seed in range(experts)]
        self.vae = randomise(AutoencoderKLWan(**VAE), 10)
        self.text_encoder = randomise(UMT5EncoderModel(UMT5Config(**TEXT)), 11)
        self.scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
        self.tokenizer = train_tokenizer()

    @property
    def parts(self) -> dict[str, torch.nn.Module]:
        names = ("transformer", "transformer_2")
        return {"text_encoder": self.text_encoder, **dict(zip(names, self.transformers)), "vae": self.vae}

    def save(self, folder: str) -> None:
        index = {"_class_name": "WanPipeline", "_diffusers_version": "0.42.1", "tokenizer": ["transformers", "T5TokenizerFast"],
                 "scheduler": ["diffusers", "UniPCMultistepScheduler"]}  # fmt: skip
        for name, module in self.parts.items():
            library = "transformers" if name == "text_encoder" else "diffusers"
            index[name] = [library, type(module).__name__]
            module.save_pretrained(os.path.join(folder, name), max_shard_size="1MB" if "transformer" in name else "1GB")
        if len(self.transformers) == 2:
            index["boundary_ratio"] = BOUNDARY_RATIO
        self.scheduler.save_pretrained(os.path.join(folder, "scheduler"))
        os.makedirs(os.path.join(folder, "tokenizer"))
        with open(os.path.join(folder, "tokenizer", "spiece.model"), "wb") as file:
            file.write(self.tokenizer)
        with open(os.path.join(folder, "model_index.json"), "w", encoding="utf-8") as file:
            json.dump(index, file)


def train_tokenizer() -> bytes:
    import sentencepiece

    lines = [f"a {colour} {animal} runs over the {place} while it rains" for colour in ("red", "blue", "green")
             for animal in ("fox", "dog", "cat") for place in ("hill", "lake", "road")]  # fmt: skip
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, vocab_size=64, hard_vocab_limit=False, minloglevel=2,
                                             pad_id=0, eos_id=1, unk_id=2, bos_id=-1)  # fmt: skip
    return model.getvalue()
