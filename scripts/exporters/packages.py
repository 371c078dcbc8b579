"""Models of other people's packages, tiny and with random weights, exported as their users export them and by fisher_ood_export.py.

    VENV/bin/python scripts/exporters/packages.py FOLDER [--only REGEX] [--fresh]
    python scripts/exporters/matrix.py FOLDER --packages --write

Writes FOLDER/NAME.WAY.onnx, FOLDER/NAME.check.npz and FOLDER/NAME.options, the options that fisher-ood needs for it. Nothing is downloaded.
"""

import contextlib
import copy
import io
import json
import math
import os
import pathlib
import re
import sys
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "pytorch"))
import ways
from fisher_ood_export import export
from zoo import Of, ids, next_token, rand, randn, standard_normal

PACKAGES = {}


def package(pip, *options, outputs=("loss",), loss=None):
    """A function () -> (module, samples); `loss`: from the outputs and the samples, as fisher-ood makes it with `options`."""

    def register(function):
        PACKAGES[function.__name__] = (pip, list(options), list(outputs), loss, function)
        return function

    return register


def token_loss(key="input_ids"):
    return lambda outputs, samples: next_token(outputs[0], samples[key])


CAUSAL = dict(outputs=("logits",), loss=token_loss())


def causal_lm(model):
    model.config.use_cache = False
    return model, {"input_ids": ids(48, 7)}


@package("transformers", "--objective", "causal-lm", **CAUSAL)
def transformers_gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    return causal_lm(GPT2LMHeadModel(GPT2Config(vocab_size=48, n_positions=16, n_embd=8, n_layer=2, n_head=2)))


@package("transformers", "--objective", "causal-lm", **CAUSAL)
def transformers_llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    return causal_lm(LlamaForCausalLM(LlamaConfig(
        vocab_size=48, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=16)))


@package("transformers", "--objective", "causal-lm", **CAUSAL)
def transformers_qwen3():
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return causal_lm(Qwen3ForCausalLM(Qwen3Config(
        vocab_size=48, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=4,
        max_position_embeddings=16, tie_word_embeddings=True)))


@package("transformers", "--objective", "causal-lm", **CAUSAL)
def transformers_mamba():
    from transformers import MambaConfig, MambaForCausalLM

    return causal_lm(MambaForCausalLM(MambaConfig(vocab_size=48, hidden_size=8, state_size=3, num_hidden_layers=1, time_step_rank=2)))


@package("transformers", "--objective", "causal-lm:tokens=decoder_input_ids", outputs=("logits",), loss=token_loss("decoder_input_ids"))
def transformers_t5():
    from transformers import T5Config, T5ForConditionalGeneration

    # PyTorch cannot export its attention of another kind, "Cannot view a tensor with shape …"
    config = T5Config(attn_implementation="eager", vocab_size=48, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0)
    samples = {"input_ids": ids(48, 6), "attention_mask": torch.ones(2, 6, dtype=torch.long), "decoder_input_ids": ids(48, 5)}

    def forward(m, input_ids, attention_mask, decoder_input_ids):
        return (m.t5(input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=decoder_input_ids, use_cache=False).logits,)

    return Of(forward, t5=T5ForConditionalGeneration(config)), samples


def alpha_bar(t, steps=1000):
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, steps, dtype=torch.float64), 0)[t].item()


@package("diffusers", outputs=("loss",))
def diffusers_unet2d():
    from diffusers import UNet2DModel

    net = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=2, attention_head_dim=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"))

    ab = alpha_bar(10)

    def loss(m, x, noise):
        step = torch.full((x.shape[0],), 10, dtype=torch.long)
        return (noise - m.net(math.sqrt(ab) * x + math.sqrt(1 - ab) * noise, step).sample).square().flatten(1).sum(1)

    return Of(loss, net=net), {"x": randn(1, 8, 8), "noise": randn(1, 8, 8)}


@package("diffusers", "--objective", "elbo", "--input", "x", outputs=("reconstruction", "mean", "logvar"),
         loss=lambda out, samples: (0.5 * (samples["x"] - out[0]).square().flatten(1).sum(1) + 0.5 * math.log(2 * math.pi) * 64
                                    + 0.5 * (out[1] ** 2 + out[2].exp() - 1 - out[2]).flatten(1).sum(1)))
def diffusers_autoencoder_kl():
    from diffusers import AutoencoderKL

    def forward(m, x, eps):
        q = m.vae.encode(x).latent_dist
        return m.vae.decode(q.mean + q.std * eps).sample, q.mean, q.logvar

    vae = AutoencoderKL(
        in_channels=1, out_channels=1, latent_channels=2, block_out_channels=(4, 8), norm_num_groups=2, layers_per_block=1, sample_size=8,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)
    return Of(forward, vae=vae), {"x": randn(1, 8, 8), "eps": randn(2, 4, 4)}


@package("diffusers")
def diffusers_dit():
    from diffusers import DiTTransformer2DModel

    net = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=4, in_channels=1, out_channels=1, num_layers=1, norm_num_groups=1, sample_size=8, patch_size=2,
        num_embeds_ada_norm=100)

    def loss(m, x, noise, label):
        step = torch.full((x.shape[0],), 10, dtype=torch.long)
        return (noise - m.net(0.8 * x + 0.6 * noise, step, class_labels=label).sample).square().flatten(1).sum(1)

    return Of(loss, net=net), {"x": randn(1, 8, 8), "noise": randn(1, 8, 8), "label": ids(5)}


@package("nflows")
def nflows_maf():
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.transforms import CompositeTransform, MaskedAffineAutoregressiveTransform, ReversePermutation

    parts = [part for _ in range(2) for part in (ReversePermutation(4), MaskedAffineAutoregressiveTransform(4, 8))]
    return Of(lambda m, x: -m.flow.log_prob(x), flow=Flow(CompositeTransform(parts), StandardNormal([4]))), {"x": randn(4)}


@package("nflows")
def nflows_spline_coupling():
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.nn.nets import ResidualNet
    from nflows.transforms import PiecewiseRationalQuadraticCouplingTransform

    transform = PiecewiseRationalQuadraticCouplingTransform(
        torch.tensor([1, 0, 1, 0]), lambda i, o: ResidualNet(i, o, 8, num_blocks=1), num_bins=4, tails="linear", tail_bound=3.0)
    return Of(lambda m, x: -m.flow.log_prob(x), flow=Flow(transform, StandardNormal([4]))), {"x": randn(4)}


@package("zuko")
def zuko_maf():
    import zuko

    return Of(lambda m, x: -m.flow().log_prob(x), flow=zuko.flows.MAF(4, 0, transforms=2, hidden_features=(8, 8))), {"x": randn(4)}


@package("zuko")
def zuko_nsf():
    import zuko

    return Of(lambda m, x: -m.flow().log_prob(x), flow=zuko.flows.NSF(4, 0, transforms=1, hidden_features=(8,), bins=4)), {"x": randn(4)}


def flow_loss(outputs, samples):
    return standard_normal(outputs[0]) - outputs[1]


@package("FrEIA", "--objective", "flow", "--frozen", "w_perm", outputs=("z", "logdet"), loss=flow_loss)
def freia_all_in_one():
    import FrEIA.framework as Ff
    import FrEIA.modules as Fm

    inn = Ff.SequenceINN(4)
    for _ in range(2):
        inn.append(Fm.AllInOneBlock, subnet_constructor=lambda i, o: nn.Sequential(nn.Linear(i, 8), nn.ReLU(), nn.Linear(8, o)), permute_soft=True)
    return inn, {"x": randn(4)}


@package("FrEIA", "--objective", "flow", outputs=("z", "logdet"), loss=flow_loss)
def freia_glow_coupling():
    import FrEIA.framework as Ff
    import FrEIA.modules as Fm

    inn = Ff.SequenceINN(4)
    for _ in range(2):
        inn.append(Fm.GLOWCouplingBlock, subnet_constructor=lambda i, o: nn.Sequential(nn.Linear(i, 8), nn.ReLU(), nn.Linear(8, o)))
        inn.append(Fm.PermuteRandom, seed=1)
    return inn, {"x": randn(4)}


@package("pythae", "--objective", "elbo:likelihood=bernoulli", "--input", "x", outputs=("reconstruction", "mean", "logvar"),
         loss=lambda out, samples: (nn.functional.binary_cross_entropy_with_logits(out[0], samples["x"], reduction="none").flatten(1).sum(1)
                                    + 0.5 * (out[1] ** 2 + out[2].exp() - 1 - out[2]).sum(1)))
def pythae_vae():
    from pythae.models import VAE, VAEConfig

    vae = VAE(VAEConfig(input_dim=(1, 4, 4), latent_dim=3))

    def forward(m, x, eps):
        q = m.vae.encoder(x)
        z = q.embedding + eps * torch.exp(0.5 * q.log_covariance)
        return torch.logit(m.vae.decoder(z).reconstruction), q.embedding, q.log_covariance

    return Of(forward, vae=vae), {"x": rand(1, 4, 4).round(), "eps": randn(3)}


@package("denoising-diffusion-pytorch")
def denoising_diffusion_unet():
    from denoising_diffusion_pytorch import Unet

    net = Unet(dim=8, dim_mults=(1, 2), channels=1, flash_attn=False, attn_heads=2, attn_dim_head=4, full_attn=(False, True))

    def loss(m, x, noise):
        step = torch.full((x.shape[0],), 10, dtype=torch.long)
        return (noise - m.net(0.9 * x + 0.4 * noise, step)).square().flatten(1).sum(1)

    return Of(loss, net=net), {"x": randn(1, 8, 8), "noise": randn(1, 8, 8)}


def own(path, module, loss, options, inputs):
    """By examples/pytorch/fisher_ood_export.py; frozen is what the options say."""
    if path.exists() or path.with_suffix(".failed").exists():
        return
    module = copy.deepcopy(module)
    if "--frozen" in options:
        for key, parameter in module.named_parameters():
            if re.search(options[options.index("--frozen") + 1], key):
                parameter.requires_grad_(False)
    objective = "nll" if loss is None else lambda model, *xs: loss(model(*xs), dict(zip(inputs, xs)))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            export(module, str(path).removesuffix(".onnx"), objective=objective, **inputs)
    except Exception as error:
        path.with_suffix(".failed").write_text(f"{type(error).__name__}: {error}")


class WithLoss(nn.Module):
    """The module's parameters under their names, and the loss in place of its outputs: what the oracle differentiates."""

    def __init__(self, module, loss, keys):
        super().__init__()
        self.__dict__.update(_parameters=module._parameters, _buffers=module._buffers, _modules=module._modules)
        self.net, self.loss, self.keys = [module], loss, keys

    def forward(self, *values):
        return self.loss(self.net[0](*values), dict(zip(self.keys, values)))


def main():
    args = ways.command_line(__doc__)
    for name, (pip, options, outputs, loss, function) in PACKAGES.items():
        if not re.search(args.only, name):
            continue
        if args.fresh:
            for old in args.folder.glob(f"{name}.*"):
                old.unlink()
        start = time.monotonic()
        torch.manual_seed(sum(name.encode()))
        try:
            module, inputs = function()
            module.eval()
            answers = args.folder / f"{name}.check.npz"
            if not answers.exists():
                ways.write_answers(answers, module if loss is None else WithLoss(module, loss, list(inputs)), inputs)
            (args.folder / f"{name}.options").write_text(json.dumps({"package": pip, "options": options}))
            ways.export_all(name, module, inputs, args.folder, outputs)
            own(args.folder / f"{name}.own.onnx", module, loss, options, inputs)
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            continue
        failed = [path.suffixes[0][1:] for path in args.folder.glob(f"{name}.*.failed")]
        print(f"{name}  {time.monotonic() - start:.1f} s{'  not exported: ' + ', '.join(failed) if failed else ''}", flush=True)


if __name__ == "__main__":
    main()
