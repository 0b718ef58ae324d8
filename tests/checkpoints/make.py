"""Tiny random checkpoints of published architectures, with what transformers computes on them.

usage: make.py [NAME ...]            writes NAME/config.json, NAME/model.safetensors and NAME/expected.safetensors beside this file

Every parameter is drawn at a size that lets each part of the model show in the result, and rounded to bf16, in which the checkpoint is stored.
The checkpoint is then read again from its files, and the result computed in f32: `input_ids` [20] i64 and `logits` [20, vocab] (for a model
without a head `hidden` [20, d]; of a model with an encoder also what that reads, `source` [27], or of speech `features` [rows, 2 bins]).

needs: pip install torch transformers safetensors
"""
import json, pathlib, sys

sys.path.pop(0)  # Folders here have the names of packages.
import torch, transformers
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForImageTextToText, AutoModelForSpeechSeq2Seq
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

HERE = pathlib.Path(__file__).parent
LENGTH = 20
VOCAB = 48

# What most of the configurations say; a window of 6 tokens ends inside the text.
COMMON = dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2, intermediate_size=40, vocab_size=VOCAB,
              max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)


def common(kind, **settings):
    """A configuration of most decoders' keys, with some of its own."""
    given = {key: value for key, value in {**COMMON, **settings}.items() if value is not None or key not in COMMON}
    return CONFIG_MAPPING[kind](**given)


def bare(kind, **settings):
    """A configuration that names its keys differently."""
    return CONFIG_MAPPING[kind](**settings)


# Images, of which texts have none.
IMAGES = dict(image_token_id=VOCAB - 1, image_token_index=VOCAB - 1)
EYES = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)

SLIDING_FIRST = ["sliding_attention", "full_attention"]

LATENT = dict(q_lora_rank=12, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=6)
STATES = dict(mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8)
FALCON = dict(lm_head_multiplier=0.5, embedding_multiplier=3.0, mlp_multipliers=[0.7, 0.6], key_multiplier=0.4, attention_out_multiplier=0.8,
              attention_in_multiplier=1.2, ssm_multipliers=[0.9, 0.8, 1.1, 1.2, 0.7], ssm_in_multiplier=1.3, ssm_out_multiplier=0.6)

ENCODERS = ["bert", "roberta", "modernbert", "electra", "mpnet"]
TWO = ["t5", "bart", "whisper"]  # Encoders with a decoder.

T5 = dict(vocab_size=VOCAB, d_model=32, d_kv=6, d_ff=40, num_layers=2, num_decoder_layers=3, num_heads=4, relative_attention_num_buckets=8,
          relative_attention_max_distance=12, decoder_start_token_id=0)

# As in all published ones.
PUBLISHED_T5 = dict(num_decoder_layers=2, relative_attention_num_buckets=32, relative_attention_max_distance=128)

CONFIGS = {
    "t5": lambda: bare("t5", **T5),
    "t5-gated": lambda: bare("t5", **T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "t5-published": lambda: bare("t5", **{**T5, **PUBLISHED_T5}),
    "t5-later": lambda: bare("t5", **{**T5, **PUBLISHED_T5}, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "bart": lambda: bare("bart", vocab_size=VOCAB, d_model=32, max_position_embeddings=64, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=40,
                         decoder_ffn_dim=48, encoder_attention_heads=4, decoder_attention_heads=2, scale_embedding=True, bos_token_id=1,
                         eos_token_id=2, pad_token_id=0, decoder_start_token_id=2, forced_eos_token_id=2),
    "whisper": lambda: bare("whisper", vocab_size=VOCAB, d_model=32, num_mel_bins=10, max_source_positions=13, max_target_positions=64,
                            encoder_layers=2, decoder_layers=2, encoder_ffn_dim=40, decoder_ffn_dim=48, encoder_attention_heads=4,
                            decoder_attention_heads=2, bos_token_id=1, eos_token_id=2, pad_token_id=0, decoder_start_token_id=2),
    # The text halves of models that also see images.
    "gemma3-images": lambda: bare("gemma3", **IMAGES, text_config=dict(**COMMON, head_dim=16, sliding_window=6, query_pre_attn_scalar=16),
                                  vision_config=dict(model_type="siglip_vision_model", **EYES)),
    "mistral3": lambda: bare("mistral3", **IMAGES, text_config=dict(model_type="mistral", **COMMON, head_dim=8),
                             vision_config=dict(model_type="pixtral", **EYES)),
    "qwen3_vl": lambda: bare("qwen3_vl", **IMAGES, text_config=dict(**COMMON, head_dim=16, tie_word_embeddings=False, rope_parameters=dict(
        rope_type="default", rope_theta=500.0, mrope_section=[4, 2, 2], mrope_interleaved=True)),
                             vision_config=dict(depth=1, hidden_size=8, intermediate_size=8, num_heads=2, out_hidden_size=32, patch_size=2,
                                                num_position_embeddings=4, deepstack_visual_indexes=[0])),
    "llama": lambda: common("llama"),
    "llama4": lambda: common("llama4_text", num_hidden_layers=4, head_dim=8, intermediate_size=24, intermediate_size_mlp=32, num_local_experts=3, num_experts_per_tok=2,
                             moe_layers=[1, 2], no_rope_layer_interval=2, attention_chunk_size=6, floor_scale=5, attn_scale=0.5, use_qk_norm=True),
    "llama-fp8": lambda: common("llama", hidden_size=160, num_attention_heads=4, intermediate_size=136, num_hidden_layers=1),
    "qwen2-full": lambda: common("qwen2"),
    "qwen3": lambda: common("qwen3", head_dim=16),
    "mixtral-full": lambda: common("mixtral", num_local_experts=4),
    "bert": lambda: common("bert", num_key_value_heads=None),
    "mamba": lambda: bare("mamba", vocab_size=VOCAB, hidden_size=32, state_size=8, num_hidden_layers=2, bos_token_id=1, eos_token_id=2),
    "mamba2": lambda: bare("mamba2", vocab_size=VOCAB, hidden_size=32, state_size=8, num_hidden_layers=2, num_heads=4, head_dim=16, n_groups=2,
                           bos_token_id=1, eos_token_id=2),
    "jamba": lambda: common("jamba", num_hidden_layers=4, attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1,
                            num_experts=4, num_experts_per_tok=2, mamba_d_state=8, mamba_dt_rank=4, use_mamba_kernels=False),
    "qwen2": lambda: common("qwen2", use_sliding_window=True, sliding_window=6, max_window_layers=1),
    "gemma": lambda: common("gemma", head_dim=16),
    "gemma2-scaled": lambda: common("gemma2", head_dim=16, query_pre_attn_scalar=16, sliding_window=6, final_logit_softcapping=4.0,
                                    attn_logit_softcapping=3.0),
    "gemma2": lambda: common("gemma2", head_dim=16, query_pre_attn_scalar=24, sliding_window=6, final_logit_softcapping=4.0,
                             attn_logit_softcapping=3.0),
    "phi3": lambda: common("phi3", sliding_window=6),
    "phi3-long": lambda: common("phi3", sliding_window=None, max_position_embeddings=128, original_max_position_embeddings=64, rope_parameters=dict(
        rope_type="longrope", rope_theta=500.0, short_factor=[1.0, 1.1, 1.3, 1.9], long_factor=[1.0, 1.5, 2.5, 4.0],
        original_max_position_embeddings=64, partial_rotary_factor=1.0)),
    "phi": lambda: common("phi"),
    "smollm3": lambda: common("smollm3", no_rope_layer_interval=2),
    "gpt_neox": lambda: bare("gpt_neox", **{k: v for k, v in COMMON.items() if k != "num_key_value_heads"}),
    "gpt_neox-sequential": lambda: bare("gpt_neox", **{k: v for k, v in COMMON.items() if k != "num_key_value_heads"},
                                        use_parallel_residual=False, attention_bias=False, rope_parameters=dict(
                                            rope_type="default", rope_theta=500.0, partial_rotary_factor=1.0)),
    "gpt_neox-serial": lambda: bare("gpt_neox", **{k: v for k, v in COMMON.items() if k != "num_key_value_heads"}, use_parallel_residual=False),
    "olmo": lambda: common("olmo"),
    "olmo2": lambda: common("olmo2"),
    "olmo3": lambda: common("olmo3", sliding_window=6, layer_types=SLIDING_FIRST, rope_parameters=dict(
        sliding_attention=dict(rope_type="default", rope_theta=500.0),
        full_attention=dict(rope_type="yarn", rope_theta=500.0, factor=4.0, original_max_position_embeddings=16, attention_factor=1.2,
                            beta_fast=32.0, beta_slow=1.0))),
    "starcoder2": lambda: common("starcoder2", sliding_window=6),
    "stablelm": lambda: common("stablelm", use_qkv_bias=True),
    "stablelm-parallel": lambda: common("stablelm", use_parallel_residual=True, qk_layernorm=True),
    "cohere": lambda: common("cohere", use_qk_norm=True),
    "cohere2": lambda: common("cohere2", sliding_window=6, layer_types=SLIDING_FIRST, head_dim=8),
    "glm": lambda: common("glm", head_dim=8),
    "glm4": lambda: common("glm4", head_dim=8),
    "granite": lambda: common("granite", embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.4, attention_multiplier=0.2),
    "gpt2": lambda: bare("gpt2", vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, n_inner=40, bos_token_id=1, eos_token_id=2),
    "lfm2": lambda: common("lfm2", layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False),
    "falcon_h1": lambda: common("falcon_h1", mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16, mamba_n_groups=2, mamba_d_state=8, mamba_rms_norm=True,
                                **FALCON),
    "falcon_h1-plain": lambda: common("falcon_h1", mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=8, **FALCON),
    "falcon_h1-after": lambda: common("falcon_h1", mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16, mamba_n_groups=2, mamba_d_state=8,
                                      mamba_rms_norm=True, mamba_norm_before_gate=False, **FALCON),
    "bamba": lambda: common("bamba", attn_layer_indices=[1], **STATES, mamba_n_groups=2),
    "granitemoehybrid": lambda: common("granitemoehybrid", layer_types=["linear_attention", "full_attention"], num_local_experts=0,
                                       shared_intermediate_size=40, embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.4,
                                       attention_multiplier=0.2, position_embedding_type="nope", **STATES),
    "nemotron_h": lambda: common("nemotron_h", layers_block_type=["linear_attention", "mlp", "full_attention", "mlp"], head_dim=8, n_groups=2,
                                 mamba_num_heads=4, mamba_head_dim=16, ssm_state_size=8),
    # Transformers takes time_step_min for a limit, which the configuration says to be 0 (time_step_limit).
    "nemotron_h-experts": lambda: common("nemotron_h", time_step_min=1e-12, layers_block_type=["moe", "linear_attention", "full_attention", "moe"], head_dim=8, n_groups=2,
                                         mamba_num_heads=4, mamba_head_dim=16, ssm_state_size=8, n_routed_experts=4, num_experts_per_tok=2,
                                         moe_intermediate_size=24, moe_shared_expert_intermediate_size=16, routed_scaling_factor=1.5),
    "zamba2": lambda: common("zamba2", num_hidden_layers=6, layers_block_type=["linear_attention", "hybrid", "linear_attention", "hybrid", "hybrid",
                             "linear_attention"], mamba_d_state=8, mamba_expand=2, mamba_ngroups=2, n_mamba_heads=4, num_mem_blocks=2,
                             use_shared_attention_adapter=True, adapter_rank=4, use_mem_rope=True, num_key_value_heads=4),
    "zamba2-plain": lambda: common("zamba2", num_hidden_layers=3, layers_block_type=["linear_attention", "linear_attention", "hybrid"], mamba_d_state=8,
                                   n_mamba_heads=4, adapter_rank=4, num_key_value_heads=4),
    "zamba2-untied": lambda: common("zamba2", hidden_size=16, intermediate_size=24, num_hidden_layers=3, mamba_d_state=8,
                                    layers_block_type=["hybrid", "linear_attention", "hybrid"], n_mamba_heads=4, adapter_rank=4, use_shared_attention_adapter=True, num_key_value_heads=4,
                                    tie_word_embeddings=False),
    "roberta": lambda: common("roberta", num_key_value_heads=None, type_vocab_size=1, max_position_embeddings=40, pad_token_id=1),
    "modernbert": lambda: common("modernbert", num_key_value_heads=None, local_attention=8, layer_types=SLIDING_FIRST[::-1],
                                 cls_token_id=1, sep_token_id=2),
    "rwkv": lambda: bare("rwkv", vocab_size=VOCAB, hidden_size=32, attention_hidden_size=32, intermediate_size=40, num_hidden_layers=2,
                         context_length=64, bos_token_id=1, eos_token_id=2),
    "xlstm": lambda: bare("xlstm", vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_heads=2, ffn_round_up_to_multiple_of=8,
                          ffn_proj_factor=1.3, autocast_kernel_dtype="float32", gate_soft_cap=2.0, output_logit_soft_cap=2.5),
    "qwen3_next": lambda: common("qwen3_next", head_dim=16, linear_key_head_dim=8, linear_value_head_dim=8, linear_num_key_heads=2,
                                 linear_num_value_heads=4, layer_types=["linear_attention", "full_attention"], moe_intermediate_size=16,
                                 shared_expert_intermediate_size=24, num_experts=4, num_experts_per_tok=2),
    "deepseek_v2": lambda: common("deepseek_v2", num_key_value_heads=4, **LATENT, n_routed_experts=4, n_shared_experts=2, num_experts_per_tok=2,
                                  moe_intermediate_size=16, first_k_dense_replace=1, routed_scaling_factor=1.5, rope_parameters=dict(
                                      rope_type="yarn", rope_theta=500.0, factor=4.0, original_max_position_embeddings=16, beta_fast=32.0,
                                      beta_slow=1.0, mscale=0.7, mscale_all_dim=0.9)),
    "deepseek_v2-scaled": lambda: common("deepseek_v2", num_key_value_heads=4, **LATENT, n_routed_experts=4, n_shared_experts=2,
                                         num_experts_per_tok=2, moe_intermediate_size=16, first_k_dense_replace=1, routed_scaling_factor=1.5,
                                         rope_parameters=dict(rope_type="yarn", rope_theta=500.0, factor=4.0, beta_fast=32.0, beta_slow=1.0,
                                                              original_max_position_embeddings=16, mscale=0.7, mscale_all_dim=0.7)),
    "deepseek_v2-groups": lambda: common("deepseek_v2", num_key_value_heads=4, **LATENT, n_routed_experts=6, n_shared_experts=1,
                                         num_experts_per_tok=2, moe_intermediate_size=8, topk_method="group_limited_greedy", n_group=3,
                                         topk_group=2),
    "deepseek_v3": lambda: common("deepseek_v3", num_key_value_heads=4, **LATENT, n_routed_experts=6, n_group=3, topk_group=2,
                                  num_experts_per_tok=3, moe_intermediate_size=8, first_k_dense_replace=1, routed_scaling_factor=1.5),
    "gpt_oss": lambda: common("gpt_oss", head_dim=8, sliding_window=6, num_local_experts=4, num_experts_per_tok=2, intermediate_size=24,
                              swiglu_limit=0.8, rope_parameters=dict(rope_type="yarn", rope_theta=500.0, factor=4.0, beta_fast=32.0,
                                                                     beta_slow=1.0, truncate=False, original_max_position_embeddings=16)),
    "gpt_oss-bounded": lambda: common("gpt_oss", head_dim=8, sliding_window=6, num_local_experts=4, num_experts_per_tok=2, intermediate_size=32,
                                      rope_parameters=dict(rope_type="yarn", rope_theta=500.0, factor=4.0, beta_fast=32.0, beta_slow=1.0,
                                                           truncate=False, original_max_position_embeddings=16)),
    "gpt_oss-mxfp4": lambda: common("gpt_oss", head_dim=8, sliding_window=6, num_local_experts=4, num_experts_per_tok=2, intermediate_size=64,
                                    rope_parameters=dict(rope_type="yarn", rope_theta=500.0, factor=4.0, beta_fast=32.0, beta_slow=1.0,
                                                         truncate=False, original_max_position_embeddings=16)),
    "arcee": lambda: common("arcee", mlp_bias=True),
    "seed_oss": lambda: common("seed_oss", head_dim=16),
    "helium": lambda: common("helium", head_dim=8),
    "ernie4_5": lambda: common("ernie4_5", head_dim=16, use_bias=True),
    "exaone4": lambda: common("exaone4", head_dim=16, sliding_window=6, sliding_window_pattern=2),
    "exaone4-full": lambda: common("exaone4", head_dim=8, sliding_window=None, layer_types=["full_attention"] * 2),
    "falcon": lambda: common("falcon", intermediate_size=None, num_key_value_heads=None, ffn_hidden_size=40),
    "falcon-groups": lambda: common("falcon", intermediate_size=None, num_key_value_heads=None, ffn_hidden_size=40, new_decoder_architecture=True,
                                    num_kv_heads=2),
    "falcon-serial": lambda: common("falcon", intermediate_size=None, num_key_value_heads=None, multi_query=False, parallel_attn=False, bias=True),
    "falcon-alibi": lambda: common("falcon", intermediate_size=None, num_key_value_heads=None, multi_query=False, parallel_attn=False, bias=True, alibi=True),
    # Of six heads the slopes of two lie between those of four.
    "bloom": lambda: bare("bloom", vocab_size=VOCAB, hidden_size=48, n_layer=2, n_head=6, bos_token_id=1, eos_token_id=2, pad_token_id=0),
    "mpt": lambda: bare("mpt", vocab_size=VOCAB, d_model=24, n_layers=2, n_heads=6, max_seq_len=64),
    "biogpt": lambda: common("biogpt", num_key_value_heads=None),
    "codegen": lambda: bare("codegen", vocab_size=VOCAB, n_positions=64, n_ctx=64, n_embd=32, n_layer=2, n_head=8, rotary_dim=2, bos_token_id=1,
                            eos_token_id=2),
    "electra": lambda: common("electra", num_key_value_heads=None, embedding_size=24),
    "gpt_bigcode": lambda: bare("gpt_bigcode", vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, n_inner=40, bos_token_id=1,
                                eos_token_id=2),
    "gpt_bigcode-heads": lambda: bare("gpt_bigcode", vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, n_inner=40, multi_query=False,
                                      scale_attn_weights=False, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2),
    "mpnet": lambda: common("mpnet", num_key_value_heads=None, max_position_embeddings=66, pad_token_id=1),
    "persimmon": lambda: common("persimmon", num_key_value_heads=None),
    "phi-normed": lambda: common("phi", qk_layernorm=True),
    "opt": lambda: common("opt", intermediate_size=None, num_key_value_heads=None, ffn_dim=40),
    "gptj": lambda: bare("gptj", vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, bos_token_id=1, eos_token_id=2),
    "granitemoe": lambda: common("granitemoe", embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.4, attention_multiplier=0.2,
                                 num_local_experts=4, intermediate_size=24),
    "granitemoehybrid-experts": lambda: common("granitemoehybrid", layer_types=["linear_attention", "full_attention"], num_local_experts=4,
                                               intermediate_size=16, shared_intermediate_size=24, position_embedding_type="rope", **STATES),
    "granitemoehybrid-nope": lambda: common("granitemoehybrid", layer_types=["linear_attention", "full_attention"], num_local_experts=4,
                                            intermediate_size=16, shared_intermediate_size=24, position_embedding_type="nope", **STATES),
    "olmoe": lambda: common("olmoe", num_experts=4, num_experts_per_tok=2, intermediate_size=24),
    "qwen2_moe": lambda: common("qwen2_moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
                                shared_expert_intermediate_size=24, mlp_only_layers=[0]),
    "qwen2_moe-all": lambda: common("qwen2_moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
                                    shared_expert_intermediate_size=24),
    "glm4_moe": lambda: common("glm4_moe", head_dim=8, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, use_qk_norm=True,
                               attention_bias=True, routed_scaling_factor=1.5),
    "kimi_linear": lambda: common("kimi_linear", num_key_value_heads=4, **{**LATENT, "q_lora_rank": None}, linear_head_dim=8, linear_num_heads=4,
                                  layer_types=["linear_attention", "full_attention"], n_group=1, topk_group=1, num_experts_per_tok=2,
                                  num_local_experts=4, moe_intermediate_size=16, mlp_layer_types=["dense", "sparse"]),
    "minimax": lambda: common("minimax", head_dim=8, layer_types=["linear_attention", "full_attention"], block_size=8, num_local_experts=4,
                              intermediate_size=16, full_attn_alpha_factor=0.8, full_attn_beta_factor=1.2, linear_attn_alpha_factor=0.7,
                              linear_attn_beta_factor=1.1, mlp_alpha_factor=0.9, mlp_beta_factor=1.3),
    "deepseek_v2-lite": lambda: common("deepseek_v2", num_key_value_heads=4, **{**LATENT, "q_lora_rank": None}, n_routed_experts=4,
                                       n_shared_experts=1, num_experts_per_tok=2, moe_intermediate_size=16),
    "minimax_m2": lambda: common("minimax_m2", head_dim=8, num_local_experts=4, num_experts_per_tok=2, intermediate_size=24, rope_parameters=dict(
        rope_type="default", rope_theta=500.0, partial_rotary_factor=0.5)),
    "nemotron": lambda: common("nemotron", head_dim=8),
    "mixtral": lambda: common("mixtral", num_local_experts=4, sliding_window=6),
    "qwen3_moe": lambda: common("qwen3_moe", num_hidden_layers=3, mlp_only_layers=[1], moe_intermediate_size=24, num_experts=4,
                                num_experts_per_tok=2, head_dim=8, norm_topk_prob=True),
    "qwen3_moe-all": lambda: common("qwen3_moe", moe_intermediate_size=24, num_experts=4, num_experts_per_tok=2, head_dim=8, norm_topk_prob=True),
}


def fill(model, generator):
    """Draws the parameters. Matrices keep the size of what they read; vectors and decays vary around what they begin with."""
    named = list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if n.endswith("correction_bias")]
    for name, p in named:
        noise = torch.randn(p.shape, generator=generator)
        if p.dim() < 2 or "A_log" in name:
            value = p.float() + 0.2 * noise
        else:
            value = noise * (1 if "embed" in name or "wte" in name else p.shape[-1] ** -0.5)
        p.data.copy_(value.bfloat16())


# Their matrices are stored in eight bits, with a factor for each block of 128 rows and columns, as those of DeepSeek-V3 are.
EIGHT_BITS = ["llama-fp8"]


def to_eight_bits(model, folder):
    """Stores the matrices of the layers so, and gives the model the numbers that this stands for."""
    stored = {name: p.data.clone() for name, p in model.state_dict().items()}
    for name, p in model.named_parameters():
        if p.dim() < 2 or ".layers." not in name:
            continue
        rows, columns = p.shape
        numbers, factors = torch.zeros(rows, columns), torch.zeros(-(-rows // 128), -(-columns // 128))
        for i in range(0, rows, 128):
            for j in range(0, columns, 128):
                block = p.data[i : i + 128, j : j + 128].float()
                factor = block.abs().max() / 448
                numbers[i : i + 128, j : j + 128] = (block / factor).to(torch.float8_e4m3fn).float()
                factors[i // 128, j // 128] = factor
        stored[name] = numbers.to(torch.float8_e4m3fn)
        stored[name + "_scale_inv"] = factors
        p.data = numbers * factors.repeat_interleave(128, 0)[:rows].repeat_interleave(128, 1)[:, :columns]
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return model.float().eval()


# Their experts are stored in four bits, with an exponent for each block of 32 numbers, as those of gpt-oss are.
FOUR_BITS = ["gpt_oss-mxfp4"]


def to_four_bits(model, folder, kind):
    """Stores the experts so; the numbers that this stands for are those that transformers makes of the file."""
    levels = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    stored = {}
    for name, p in model.state_dict().items():
        if not name.endswith(("gate_up_proj", "down_proj")):
            stored[name] = p.data.clone()
            continue
        # Rows are outputs, where those of the plain matrices are inputs.
        blocks = p.data.float().transpose(-1, -2).unflatten(-1, (-1, 32))
        exponents = torch.ceil(torch.log2(blocks.abs().amax(-1) / 6))
        scaled = blocks / 2 ** exponents[..., None]
        codes = (scaled.abs()[..., None] - levels).abs().argmin(-1) + 8 * (scaled < 0)
        stored[name + "_blocks"] = (codes[..., 0::2] + 16 * codes[..., 1::2]).to(torch.uint8).contiguous()
        stored[name + "_scales"] = (exponents + 127).to(torch.uint8).contiguous()
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = dict(quant_method="mxfp4", modules_to_not_convert=[
        "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    how = transformers.Mxfp4Config(dequantize=True)
    return kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", quantization_config=how).eval()


# Their plain attention adds the cost of distance twice (transformers 5.24); the kernel adds it once.
KERNELS = ["falcon-alibi"]


def make(name):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    config = CONFIGS[name]()
    how = "sdpa" if name in KERNELS else "eager"
    config._attn_implementation = how
    kind = (AutoModel if config.model_type in ENCODERS else AutoModelForSpeechSeq2Seq if hasattr(config, "num_mel_bins")
            else AutoModelForImageTextToText if hasattr(config, "vision_config")
            else AutoModelForSeq2SeqLM if config.model_type in TWO else AutoModelForCausalLM)
    model = kind.from_config(config, attn_implementation=how).float()
    with torch.no_grad():
        fill(model, generator)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    for p in model.parameters():
        p.data = p.data.bfloat16()
    model.config.dtype = torch.bfloat16
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name in EIGHT_BITS:
        read = to_eight_bits(model, folder)
    elif name in FOUR_BITS:
        read = to_four_bits(model, folder, kind)
    else:
        read = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation=how).eval()
    for (key, a), (_, b) in zip(model.named_parameters(), read.named_parameters()):
        assert torch.equal(a.float(), b) or name in FOUR_BITS and "experts" in key, key
    tokens = torch.randint(3, VOCAB, (1, LENGTH), generator=generator)
    inputs = {"input_ids": tokens[0]}
    if kind is AutoModelForSeq2SeqLM:
        source = torch.randint(3, VOCAB, (1, LENGTH + 7), generator=generator)
        inputs["source"] = source[0]
    elif kind is AutoModelForSpeechSeq2Seq:
        source = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions, generator=generator)
        # A row is two frames.
        inputs["features"] = source[0].T.reshape(config.max_source_positions, -1).contiguous()
    with torch.no_grad():
        if config.model_type in TWO:
            out = read(source, decoder_input_ids=tokens, use_cache=False)
        else:
            out = read(tokens) if kind is AutoModel else read(tokens, use_cache=False)
    key, result = ("logits", out.logits) if hasattr(out, "logits") else ("hidden", out.last_hidden_state)
    save_file({**inputs, key: result[0].float().contiguous()}, folder / "expected.safetensors")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: {size} bytes, {key} from {result.min():.2f} to {result.max():.2f}")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in sys.argv[1:] or CONFIGS:
        make(name)
