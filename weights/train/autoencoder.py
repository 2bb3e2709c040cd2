"""Trains the autoencoder, KL or its VQ twin: L1 with a perceptual term from the classifier's features, small terms that
sharpen edges and keep latents smooth, and in the last part the patch discriminator of the paper with its adaptive weight.

    python3 autoencoder.py --kind kl --seconds 400 --classifier DIR/classifier --out DIR/vae --state /tmp/vae
"""
import math
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

import classifier
import files
import models
import pictures
import team
import training


class Discriminator(nn.Sequential):
    """Judges overlapping patches."""
    def __init__(self, width=64):
        layers, last = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)], width
        for k in (2, 4):
            layers += [nn.Conv2d(last, width * k, 4, 2 if k < 4 else 1, 1, bias=False), nn.BatchNorm2d(width * k), nn.LeakyReLU(0.2)]
            last = width * k
        super().__init__(*layers, nn.Conv2d(last, 1, 4, 1, 1))
        for m in self:
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, 0, 0.02)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.normal_(m.weight, 1, 0.02)


def network(kind, tiny):
    small = dict(block_out_channels=[16, 16, 32, 32], **({"num_vq_embeddings": 256} if kind == "vq" else {})) if tiny else {}
    return models.VQAutoencoder(small) if kind == "vq" else models.Autoencoder(small)


def run_coder(coder, x):
    """What comes before the last layer of a decoder, and the picture."""
    h = coder.conv_in(x)
    h = coder.middle(h)
    for block in coder.up_blocks:
        for layer in block.resnets:
            h = layer(h)
        if hasattr(block, "upsamplers"):
            h = block.upsamplers[0](h)
    h = coder.conv_norm_out(h)
    return h.detach(), coder.conv_out(h)


def fidelity(x, y):
    """L1, some L2, and L1 of the differences between neighbours."""
    d = y - x
    edges = (d[:, :, 1:] - d[:, :, :-1]).abs().mean() + (d[:, :, :, 1:] - d[:, :, :, :-1]).abs().mean()
    return d.abs().mean() + 0.5 * d.pow(2).mean() + 0.25 * edges + 0.25 * F.avg_pool2d(d, 4).abs().mean()


def psnr(x, y):
    return 10 * torch.log10(4 / (x - y).pow(2).mean((1, 2, 3)).clamp(min=1e-10))


@torch.no_grad()
def normalise(net, batches):
    """Makes latents zero-mean and unit-variance a channel, folded into the convolutions around them: exact."""
    z = torch.cat([net.encode(x).float() for x in batches])
    mean, std, n = z.mean((0, 2, 3)), z.std((0, 2, 3)), z.shape[1]
    q, p = net.quant_conv, net.post_quant_conv
    q.bias[:n] = (q.bias[:n] - mean) / std
    q.weight[:n] /= std[:, None, None, None]
    if len(q.bias) > n:
        q.bias[n:] -= 2 * std.log()
    p.bias += p.weight[:, :, 0, 0] @ mean
    p.weight *= std[None, :, None, None]
    if hasattr(net, "quantize"):
        net.quantize.embedding.weight.copy_((net.quantize.embedding.weight - mean) / std)
    return mean, std


def main():
    a = training.arguments(kind="kl", batch=128, lr=6e-4, kl=5e-4, perceptual=0.1, adversary=0.2, adversary_from=0.6, judge_lr=2e-4)
    if a.kind == "vq" and a.team.size > 1:
        raise SystemExit("the codebook starts its unused words anew by chance: one process")
    clock, say, device = files.Clock(a.seconds), training.log(a, a.kind), a.device
    world, index = pictures.load_world(a.data)
    p = pictures.Pictures(pictures.load_pixels(a.data, index, a.limit), device)
    rows, _ = pictures.make_plan(world, None, 4000 if a.tiny else 200_000, a.team.seed(a.seed), (0.72, 0.2, 0.08), 0)
    if a.tiny:
        rows = rows[(rows[:, [0, 5, 10]].amax(1) < len(p))]
    rows = rows.to(device)
    held = torch.tensor([i for i, h in enumerate(world.held) if h and i < len(p)], device=device)
    # Without a classifier yet, one that knows nothing: for filling the compiler's cache.
    features = classifier.load(a.classifier, device) if os.path.exists(a.classifier) else classifier.Classifier(len(index["emoji"])).to(device).eval()
    features = features.requires_grad_(False).to(memory_format=torch.channels_last)
    net = network(a.kind, a.tiny).to(device).to(memory_format=torch.channels_last)
    judge = Discriminator(16 if a.tiny else 64).to(device).to(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(net.parameters(), lr=a.lr, betas=(0.9, 0.98), weight_decay=1e-3)
    judge_opt = torch.optim.AdamW(judge.parameters(), lr=a.judge_lr, betas=(0.5, 0.9))
    state = training.load_state(a)
    if state:
        for part, value in ((net, "net"), (judge, "judge"), (opt, "opt"), (judge_opt, "judge_opt")):
            part.load_state_dict(state[value])
    elif a.resume:
        net.load_state_dict(models.load(a.resume, device).state_dict())
    a.team.share([*net.parameters(), *judge.parameters()])
    gradients, judge_gradients = team.Gradients(net.parameters(), a.team), team.Gradients(judge.parameters(), a.team)
    torch.manual_seed(a.team.seed(a.seed))
    average = training.Average(net.parameters(), 0.999)
    if state:
        average.values, average.steps = state["average"], 10_000

    def forward(x, noise):
        """The latent that is decoded, the part of the loss on it, the last features and the picture."""
        with training.autocast(device):
            if a.kind == "kl":
                mean, logvar = net.moments(x)
                mean, logvar = mean.float(), logvar.float()
                z = mean + (0.5 * logvar).exp() * noise
                return z, 0.5 * (mean.pow(2) + logvar.exp() - 1 - logvar).mean(), *run_coder(net.decoder, net.post_quant_conv(z))
            z = net.encode(x).float()
            return z, z.new_zeros(()), z, z

    def decode(z):
        with training.autocast(device):
            return run_coder(net.decoder, net.post_quant_conv(z))

    def rec_loss(x, y):
        """On pictures, with their gradients: fidelity and the distance of features."""
        with torch.no_grad(), training.autocast(device):
            maps = features.maps(x)
        with training.autocast(device):
            d = features.distance(maps, y).mean()
        return fidelity(x, y), d

    forward, rec_loss = training.compiled(forward, a), training.compiled(rec_loss, a)
    decode = training.compiled(decode, a) if a.kind == "vq" else decode
    book_ready, used = a.kind == "kl" or bool(a.resume), None
    sums, n, step, mark = torch.zeros(6, device=device), 0, 0, clock.elapsed()
    reserve = 4 if a.tiny else 16
    rate = training.Rate(a, clock.elapsed(), a.seconds - reserve)
    say(kind=a.kind, parameters=models.count(net), decoder_gmac=models.macs(net.decoder, torch.zeros(1, net.decoder.conv_in.in_channels, 16, 16, device=device)) / 1e9,
        arguments={k: getattr(a, k) for k in ("batch", "lr", "kl", "perceptual", "adversary", "adversary_from", "seed", "seconds")}, processes=a.team.size)
    while step < a.steps and (progress := a.team.agree(rate.progress(clock.elapsed()))) < 1:
        lr = rate(step, progress)
        for g in opt.param_groups:
            g["lr"] = lr
        x = p.draw(rows[torch.randint(len(rows), (a.batch,), device=device)]).contiguous(memory_format=torch.channels_last)
        z, side, h, y = forward(x, torch.randn(a.batch, net.config["latent_channels"], 16, 16, device=device))
        if a.kind == "kl":
            side = a.kl * side
        else:
            if not book_ready and step >= (5 if a.tiny else 300):  # a start of the codebook from what the encoder says by now
                words = z.detach().permute(0, 2, 3, 1).reshape(-1, z.shape[1])
                book = net.quantize.embedding.weight
                book.data.copy_(words[torch.randint(len(words), (len(book),), device=device)] + 0.01 * torch.randn_like(book))
                book_ready, used = True, torch.zeros(len(book), device=device)
            if book_ready:
                _, words = net.quantise(z.detach())
                q = net.quantize.embedding(words).reshape(z.shape[0], 16, 16, -1).permute(0, 3, 1, 2)
                side = (q - z.detach()).pow(2).mean() + 0.25 * (z - q.detach()).pow(2).mean()
                z = z + (q - z).detach()
                used = torch.zeros(len(net.quantize.embedding.weight), device=device) if used is None else used
                used.mul_(0.99).index_add_(0, words, torch.full((len(words),), 0.01, device=device))
                if step % 50 == 0 and progress < 0.7:  # words that nobody uses start anew
                    dead = (used < 0.02).nonzero()[:, 0]
                    fresh = z.detach().permute(0, 2, 3, 1).reshape(-1, z.shape[1])
                    net.quantize.embedding.weight.data[dead] = fresh[torch.randint(len(fresh), (len(dead),), device=device)]
                    used[dead] = 0.1
            h, y = decode(z)
        # Gradients with respect to the picture, each through its network once; those of the last layer's weight,
        # whose norms balance reconstruction and adversary, follow from them by one small convolution.
        leaf = y.detach().float().requires_grad_()
        fid, feat = rec_loss(x, leaf)
        rec = fid + a.perceptual * feat
        grad, = torch.autograd.grad(rec, leaf)
        weight, judged = torch.zeros((), device=device), torch.zeros((), device=device)
        fighting = progress >= a.adversary_from and a.adversary > 0
        if fighting:
            with training.autocast(device):
                fooling = -judge(leaf).float().mean()
            adversary, = torch.autograd.grad(fooling, leaf)
            last = lambda g: torch.nn.grad.conv2d_weight(h[:32].float(), net.decoder.conv_out.weight.shape, g[:32], padding=1).norm()
            weight = a.adversary * (last(grad) / (last(adversary) + 1e-4)).clamp(0, 1e4)
            grad = grad + weight * adversary
        outputs, grads = [y, side], [grad.to(y.dtype), torch.ones_like(side)]
        if a.kind == "kl" and step % 4 == 3:  # a latent of half the size is that of a picture of half the size
            k = a.batch // 2
            _, small = decode(F.avg_pool2d(z[:k], 2))
            outputs, grads = outputs + [0.25 * (small.float() - F.avg_pool2d(x[:k], 2)).abs().mean()], grads + [torch.ones_like(side)]
        pairs = [(o, g) for o, g in zip(outputs, grads) if o.requires_grad]
        gradients.clear()
        torch.autograd.backward([o for o, _ in pairs], [g for _, g in pairs])
        gradients.average()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        average.update()
        if fighting:
            with training.autocast(device):
                real, fake = judge(x).float(), judge(leaf.detach()).float()
            judged = 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())
            judge_gradients.clear()
            judged.backward()
            judge_gradients.average()
            judge_opt.step()
        step += 1
        n += 1
        sums += torch.stack([fid.detach(), (y.detach().float() - x).pow(2).mean(), feat.detach(), side.detach(), weight.detach(), judged.detach()])
        if step in (10, 50) or step % 200 == 0:
            s = (sums / n).tolist()
            now = clock.elapsed()
            say(step=step, fidelity=s[0], psnr=10 * math.log10(4 / s[1]), features=s[2], side=s[3], weight=s[4], judge=s[5], lr=lr, per_s=n * a.batch * a.team.size / (now - mark))
            sums.zero_()
            n, mark = 0, now
        if step % 1000 == 0 and a.team.first:  # where the average stands, for comparing runs at equal numbers of pictures
            with average.swapped(), torch.no_grad(), training.autocast(device):
                net.eval()
                white = p.on(held, torch.ones(len(held), 3, device=device)).contiguous(memory_format=torch.channels_last)
                say(step=step, seen=step * a.batch * a.team.size, held_psnr=float(psnr(white, net.decode(net.encode(white)).float()).mean()))
                net.train()
    team.finish()
    if not a.team.first:
        return
    training.keep_cache(a)
    training.save_state(a, net=net.state_dict(), judge=judge.state_dict(), opt=opt.state_dict(), judge_opt=judge_opt.state_dict(), average=average.values)
    with average.swapped(), training.exact():
        net.eval()
        some = rows[torch.randperm(len(rows), device=device)[: 64 if a.tiny else 8192]]
        mean, std = normalise(net, [p.draw(b) for b in some.split(256)])
        say(mean=[round(v, 3) for v in mean.tolist()], std=[round(v, 3) for v in std.tolist()])
        models.save(net, a.out, **({"scaling_factor": 1.0}))
    with training.exact():  # float16 weights in float32 arithmetic, on pictures never seen
        net = models.load(a.out, device)
        result = {}
        for name, rgb in (("white", (1, 1, 1)), ("blue", (0.25, 0.45, 0.9))):
            x = torch.cat([p.on(i, torch.tensor(rgb, device=device).float().expand(len(i), 3)) for i in held.split(64)])
            y = torch.cat([net.decode(net.encode(b)) for b in x.split(64)]).clamp(-1, 1)
            q = psnr(x, y)
            result[name] = float(q.mean())
            if name == "white":
                by = {s: [float(v) for v, i in zip(q, held.tolist()) if world.pictures[i][1] == s] for s in pictures.captions.STYLES}
                result.update({s: sum(v) / len(v) for s, v in by.items() if v})
                pictures.sheet(torch.stack([x[::5][:32], y[::5][:32]], 1).flatten(0, 1), 16).save(f"{a.out}/reconstructions.webp", quality=92)
        say(step=step, seen=step * a.batch * a.team.size, **{"psnr_" + k: round(v, 2) for k, v in result.items()})


if __name__ == "__main__":
    main()
