"""Trains a Glow, DDPM, PixelCNN or PixelVAE of ours on CIFAR-10 with PyTorch on a GPU, where two cores would take days.

    fisher-ood train glow --data cifar10:train --steps 1 --out start/NAME --config … --lr … --warm-up …
    python scripts/gpu/train.py start/NAME start/OTHER:2 --data cifar-10-batches-bin --out models --steps 24000 --batch 128

Each folder is what `train` leaves after one step: weights to start from (a batch has set those that start from data) and
settings. From step 0, the loss, Adam, the clipping, the learning rate, the average of the weights and the examples that
are held out are those of `src/train`. Images are drawn with replacement and the noise is PyTorch's own, so the result is a
run of the same kind, not the same run; nor is it the same twice, as models that are trained side by side draw from one
stream. They are trained so as one small model does not fill a GPU; `:2` takes a step every second time only.

--seconds S: as many steps as fit into S seconds, start included, in place of --steps, by the speed of the first 200.
--check: the loss of 64 images with given noise in float64 on the CPU, in nats, to be compared with ours; nothing is trained.

Written to OUT/NAME: model.json, weights.safetensors, train.log.jsonl, as `train` does, but for the held-out losses of the
log, which are of all that is held out with fresh noise (`train`: of 256 with the same noise each time). Convolutions are computed in TF32
where the GPU has it, all else in float32.
"""

import argparse
import json
import math
import pathlib
import time

import numpy as np
import torch
from models import ddpm_loss, ddpm_tables, glow_nll, pixelcnn_nll, pixelvae_nll
from safetensors.numpy import load_file, save_file

SIDE = 32
REPORT = 500  # steps between lines of the log
HELD_OUT = 1000
BETA1, BETA2, EPSILON, CLIP = 0.9, 0.999, 1e-8, 1.0


class Run:
    """A model on its way, with all that a step needs on the device, so that a step is one CUDA graph."""

    def __init__(self, path, images, device, batch, dtype=torch.float32):
        path, _, every = str(path).partition(':')
        self.every = int(every or 1)  # rounds for each step
        folder = pathlib.Path(path)
        self.name = folder.name
        self.info = json.loads((folder / 'model.json').read_text())
        self.config, self.arch = self.info['config'], self.info['arch']
        self.training = self.info['training']
        self.batch = batch or self.training['batch']
        weights = load_file(folder / 'weights.safetensors')
        buffers = ('.permutation', '.sign')
        self.layout = {k: v.shape for k, v in weights.items() if not k.endswith(buffers)}
        put = lambda v: torch.tensor(v, device=device, dtype=dtype)
        self.buffers = {k: put(v) for k, v in weights.items() if k not in self.layout}
        self.theta = put(np.concatenate([weights[k].ravel() for k in self.layout])).requires_grad_()
        self.m, self.v = torch.zeros_like(self.theta), torch.zeros_like(self.theta)
        self.mean = self.theta.detach().clone() if 'ema' in self.training else None
        self.images, self.length = images, len(images) - HELD_OUT
        self.step = torch.zeros((), device=device, dtype=torch.float64)
        self.total = torch.zeros((), device=device, dtype=torch.float64)  # of the losses since the last report
        self.reported = 0
        self.device, self.dtype = device, dtype
        self.tables = ddpm_tables(self.config, device, dtype) if self.arch == 'ddpm' else None
        self.steps = torch.tensor(1e9, device=device, dtype=torch.float64)

    def parameters(self, theta):
        parts = theta.split([math.prod(s) for s in self.layout.values()])
        named = {}
        for (name, shape), part in zip(self.layout.items(), parts):
            named[name] = part.view(shape)
        return {**self.buffers, **named}

    def draw(self, shape, normal=False):
        return (torch.randn if normal else torch.rand)(shape, device=self.device, dtype=self.dtype)

    def losses(self, theta, x, fed={}):
        """Nats of each image [n, 3, 32, 32], with noise that is fed or drawn."""
        p, config = self.parameters(theta), self.config
        of = lambda name, shape, **how: fed[name] if name in fed else self.draw(shape, **how)
        if self.arch == 'glow':
            return glow_nll(p, config, x, of('u', x.shape))
        if self.arch == 'ddpm':
            return ddpm_loss(p, config, self.tables, x, of('u', (len(x),)), of('noise', x.shape, normal=True))
        if self.arch == 'pixelvae':
            return pixelvae_nll(p, config, x, of('eps', (len(x), config['latent']), normal=True))
        assert self.arch == 'pixelcnn', f'{self.arch} is not known here'
        return pixelcnn_nll(p, config, x)

    def take_step(self):
        # With replacement: nothing to keep between steps.
        pick = torch.randint(self.length, (self.batch,), device=self.device)
        loss = self.losses(self.theta, self.images[pick].to(self.dtype)).mean() / self.images[0].numel()
        (g,) = torch.autograd.grad(loss, self.theta)
        with torch.no_grad():
            size = g.square().sum().sqrt()
            g = g * torch.clamp(CLIP / (size + 1e-12), max=1)
            t = self.step + 1
            self.m.lerp_(g, 1 - BETA1)
            self.v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            up, peak = self.training['warmUp'], self.training['learningRate']
            turn = (self.step - up) / torch.clamp(self.steps - up, min=1)
            rate = torch.where(self.step < up, peak * t / up, peak * 0.5 * (1 + torch.cos(math.pi * turn)))
            scale = (rate / (1 - BETA1**t)).to(self.dtype)
            root = (self.v / (1 - BETA2**t).to(self.dtype)).sqrt_().add_(EPSILON)
            self.theta.sub_(scale * self.m / root)
            if self.mean is not None:
                keep = torch.clamp(t / (t + 9), max=self.training['ema'])
                self.mean.lerp_(self.theta, (1 - keep).to(self.dtype))
            self.step.copy_(t)
            self.total.add_(loss.double())

    @torch.no_grad()
    def held_out(self):
        """Mean over what is never trained on; for a likelihood, bits per dimension."""
        theta = self.theta if self.mean is None else self.mean
        parts = self.images[self.length :].split(250)
        found = torch.cat([self.losses(theta, part.to(self.dtype)) for part in parts]).mean().item()
        return found / self.images[0].numel()

    def report(self):
        """A line of the log, of the steps since the one before."""
        unit = ('LossPerDim', 1.0) if self.arch == 'ddpm' else ('BitsPerDim', math.log(2))
        step = int(self.step.item())
        train = self.total.item() / max(1, step - self.reported) / unit[1]
        self.total.zero_()
        self.reported = step
        valid = self.held_out() / unit[1]
        if not math.isfinite(valid):
            raise SystemExit(f'{self.name} diverged')
        line = {'step': step, 'steps': int(self.steps.item())}
        return {**line, f'train{unit[0]}': train, f'valid{unit[0]}': valid}

    def write(self, out, lines):
        theta = (self.theta if self.mean is None else self.mean).detach()
        weights = {k: v.cpu().numpy().copy() for k, v in self.parameters(theta).items()}
        folder = out / self.name
        folder.mkdir(parents=True, exist_ok=True)
        save_file(weights, folder / 'weights.safetensors')
        training = {**self.training, 'steps': int(self.step.item()), 'batch': self.batch}
        (folder / 'model.json').write_text(json.dumps({**self.info, 'training': training}, indent=2) + '\n')
        (folder / 'train.log.jsonl').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))


def captured(run, eager, priority):
    """What takes one step: a CUDA graph of it, on a stream of its own; eager: the function itself."""
    if eager:
        return run.take_step, None
    stream = torch.cuda.Stream(priority=priority)
    stream.wait_stream(torch.cuda.current_stream())
    state = [v for v in (run.m, run.v, run.mean, run.step, run.total) if v is not None]
    before = [v.clone() for v in state] + [run.theta.detach().clone()]
    with torch.cuda.stream(stream):
        for _ in range(3):
            run.take_step()
        with torch.no_grad():
            for v, b in zip([*state, run.theta], before):
                v.copy_(b)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        run.take_step()
    return graph.replay, stream


def images_of(path, device):
    """[n, 3, 32, 32] of CIFAR-10's binary layout."""
    files = sorted(pathlib.Path(path).glob('data_batch_*.bin'))
    assert files, f'{path}: no data_batch_*.bin'
    rows = np.concatenate([np.fromfile(f, np.uint8).reshape(-1, 1 + 3 * SIDE * SIDE) for f in files])
    return torch.tensor(rows[:, 1:].reshape(-1, 3, SIDE, SIDE), device=device)


def check(path, images):
    """Inputs of 64 images and their losses in float64."""
    run = Run(path, images, 'cpu', None, torch.float64)
    n, x = 64, images[:64].double()
    stream = np.random.default_rng(0)
    u, noise = stream.random(x.shape if run.arch == 'glow' else n), stream.standard_normal(x.shape)
    eps = stream.standard_normal((n, run.config.get('latent', 1)))
    fed = {'u': u, 'noise': noise, 'eps': eps}
    loss = run.losses(run.theta.detach(), x, {k: torch.tensor(v) for k, v in fed.items()})
    return {'x': images[:64].numpy(), 'nll': loss.numpy(), **fed}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--data', required=True, help="folder of CIFAR-10's data_batch_*.bin")
    parser.add_argument('--out', type=pathlib.Path)
    parser.add_argument('--steps', type=int)
    parser.add_argument('--seconds', type=float)
    parser.add_argument('--batch', type=int, help='default: that of model.json')
    parser.add_argument('--eager', action='store_true', help='without CUDA graphs, which is slower')
    parser.add_argument('--check', type=pathlib.Path, help='a folder for NAME.npz of inputs and losses')
    args = parser.parse_args()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if args.check:
        images = images_of(args.data, 'cpu')
        for folder in args.folders:
            np.savez(args.check / f'{pathlib.Path(folder).name}.npz', **check(folder, images))
        return
    if args.out is None or (args.steps is None) == (args.seconds is None):
        parser.error('expected --out and one of --steps and --seconds')
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = True, True
    images = images_of(args.data, device)
    runs = [Run(folder, images, device, args.batch) for folder in args.folders]
    train(runs, args, device)


def train(runs, args, device):
    began = time.time()
    # What takes part in every round goes first where both have something to do.
    steppers = [(run, *captured(run, args.eager or device == 'cpu', -1 if run.every == 1 else 0)) for run in runs]
    wait = torch.cuda.synchronize if device == 'cuda' else lambda: None
    print(f'ready after {time.time() - began:.0f} s', flush=True)

    def advance(rounds):
        """Rounds in which every run takes a step whose turn it is."""
        for k in rounds:
            for run, step, stream in steppers:
                if k % run.every > 0:
                    continue
                with torch.cuda.stream(stream):  # of None: as it is
                    step()
            if k % 20 == 19:
                wait()
        wait()

    started = time.time()
    first = min(200, (args.steps or 400) // 2)
    advance(range(first))
    speed = first / (time.time() - started)
    rounds = args.steps or int((args.seconds - (time.time() - began)) * 0.97 * speed) // 100 * 100
    if rounds <= first:
        raise SystemExit(f'{rounds} rounds fit into that time, fewer than the {first} that measure the speed')
    for run in runs:
        run.steps.fill_(-(-rounds // run.every))
    print(f'{speed:.1f} rounds a second, {rounds} in all', flush=True)
    lines = [[] for _ in runs]
    done = first
    for end in [*range(REPORT, rounds, REPORT), rounds]:
        if end <= done:
            continue
        advance(range(done, end))
        done = end
        for run, own in zip(runs, lines):
            own.append(run.report())
            print(run.name, json.dumps(own[-1]), f'{time.time() - began:.0f} s', flush=True)
            if done % (4 * REPORT) == 0 or done == rounds:
                run.write(args.out, own)


if __name__ == '__main__':
    main()
