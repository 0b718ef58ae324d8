"""Tiny checkpoints as GGUF files, written by the conversion of llama.cpp itself.

usage: to_gguf.py LLAMA_CPP [NAME ...]      LLAMA_CPP: a folder with llama.cpp's sources (vendor/llama.cpp of llama-cpp-python on PyPI)

Writes ../fixtures/gguf/NAME.gguf for NAME/model.safetensors beside this file; what is expected of it is in NAME/expected.safetensors. Matrices are
stored in bf16 as in the checkpoint, or in f32 where the conversion multiplies them by numbers of the configuration. There is no tokenizer.

needs: pip install torch transformers safetensors sentencepiece
"""
import logging, pathlib, shutil, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.pop(0)  # Folders here have the names of packages.

NAMES = ["llama", "mixtral-full", "qwen2-full", "qwen3", "qwen3_moe-all", "qwen2_moe-all", "gemma", "gemma2-scaled",
         "phi3", "phi3-long", "gpt2", "gpt_neox", "gpt_neox-serial", "mamba", "mamba2", "lfm2", "granite",
         "granitemoe", "granitemoehybrid", "granitemoehybrid-nope", "falcon_h1-plain", "falcon_h1-after",
         "deepseek_v2-scaled", "deepseek_v2-lite", "deepseek_v3", "gpt_oss-bounded", "bert", "nemotron_h",
         "nemotron_h-experts", "jamba", "rwkv6", "rwkv7", "t5-published", "t5-later"]

# Their conversion multiplies matrices.
SCALED = ["falcon_h1-plain", "falcon_h1-after"]

# Keys that published configurations have and those of newer transformers have not.
OLDER = {"gpt2": {"n_ctx": 64}, "gpt_neox": {"rotary_pct": 0.25}, "gpt_neox-serial": {"rotary_pct": 0.25},
         "falcon_h1-plain": {"head_dim": 8}, "falcon_h1-after": {"head_dim": 8}, "deepseek_v3": {"scoring_func": "sigmoid"},
         "granitemoehybrid": {"layer_types": ["mamba", "attention"]}, "granitemoehybrid-nope": {"layer_types": ["mamba", "attention"]},
         "nemotron_h": {"num_experts_per_tok": None, "layers_block_type": None, "hybrid_override_pattern": "M-*-", "num_hidden_layers": 4},
         "nemotron_h-experts": {"num_hidden_layers": 4}}


def convert(name):
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for file in ["config.json", "model.safetensors"]:
            shutil.copy(HERE / name / file, folder)
        hparams = ModelBase.load_hparams(folder, False)
        kind = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
        # Tiny checkpoints have no tokenizer.
        kind = type(kind.__name__, (kind,), {"set_vocab": lambda self: None, "model_arch": kind.model_arch})
        stored = gguf.LlamaFileType.ALL_F32 if name in SCALED else gguf.LlamaFileType.MOSTLY_BF16
        out = HERE.parent / "fixtures" / "gguf" / f"{name}.gguf"
        older = OLDER.get(name, {})
        kept = {key: value for key, value in (hparams | older).items() if key not in older or value is not None}
        kind(folder, stored, out, model_name=name, **({"hparams": kept} if older else {})).write()
        print(f"{name}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    home = pathlib.Path(sys.argv[1])
    sys.path[:0] = [str(home / "gguf-py"), str(home)]
    import torch

    logging.basicConfig(level=logging.WARNING)
    with torch.inference_mode():
        for name in sys.argv[2:] or NAMES:
            convert(name)
