"""Wrong versions of the operations, each with one fault that some library has shipped or could.

A mutant is an edited copy of a specification (reference.py, decoder_reference.py) or of a torch tier (torch_tier.py,
decoder_torch.py): the text of the fault stands beside the text that it replaces. An edit that no longer applies is an error, so a
change of those files brings its mutants along.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from vldac.kernels import decoder_reference, decoder_torch, reference, torch_tier

SCORING = ("test_linear", "test_edges")
LOSS, VALUE, GAE, WHITEN = ("test_ppo",), ("test_value",), ("test_gae",), ("test_whiten",)
SAMPLING, PACK, FUSED = ("test_sampling",), ("test_pack",), ("test_fused",)
DECODER, ATTENTION, PACKED = ("test_decoder",), ("test_attention",), ("test_prefix_attention",)


@dataclass(frozen=True)
class Mutant:
    """A fault: what it is, the files of tests that must notice, and edits (old text, new text) of the source."""

    fault: str
    tests: tuple[str, ...]
    edits: tuple[tuple[str, str], ...]
    of: ModuleType = reference

    def build(self) -> ModuleType:
        """The edited copy, as a module."""
        assert self.of.__file__ is not None
        source = Path(self.of.__file__).read_text()
        for old, new in self.edits:
            if old not in source:
                raise LookupError(
                    f"{self.of.__name__} no longer says {old!r}: bring the mutant {self.fault!r} up to date"
                )
            source = source.replace(old, new)
        loader = _Edited(f"{self.of.__name__}_mutant", self.of.__file__)
        loader.text = source
        spec = importlib.util.spec_from_loader(loader.name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module


class _Edited(importlib.machinery.SourceFileLoader):
    text: str

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return self.source_to_code(self.text, self.path)


def _mutant(fault: str, tests: tuple[str, ...], *edits: tuple[str, str], of: ModuleType = reference) -> Mutant:
    return Mutant(fault, tests, edits, of)


_LOG_SOFTMAX = "    log_probs = scaled.log_softmax(-1)\n"
_PRODUCT = "rows @ weight.to(wide).T"
_SCALED = "(logits / _column(temperature, logits)).masked_fill(excluded, -torch.inf)"
_PROCESSED = "kept.log_softmax(-1).gather(-1, pick)"
_HOOK = "    if logprob.requires_grad:\n        logprob.register_hook(torch.ones_like)\n"

MUTANTS = (
    # -- log-probs --
    _mutant("the temperature is forgotten", SCORING, (_SCALED, "logits.masked_fill(excluded, -torch.inf)")),
    _mutant("every row takes the first row's temperature", SCORING,
            ("logits / _column(temperature, logits)", "logits / _column(temperature, logits).flatten()[0]")),
    _mutant("columns that pad the vocabulary to 128 count as logit 0", SCORING,
            (_LOG_SOFTMAX, "    scaled = torch.nn.functional.pad(scaled, (0, -scaled.shape[-1] % 128))\n" + _LOG_SOFTMAX)),
    _mutant("the last columns of a ragged vocabulary are not summed", SCORING,
            (_LOG_SOFTMAX, "    log_probs = scaled - scaled[:, : max(1, scaled.shape[-1] // 8 * 8)].logsumexp(-1, keepdim=True)\n")),
    _mutant("the running maximum starts at 0", SCORING,
            (_LOG_SOFTMAX, "    top = scaled.amax(-1, keepdim=True).clamp_min(0.0)\n"
                           "    log_probs = scaled - top - (scaled - top).exp().sum(-1, keepdim=True).log()\n")),
    _mutant("no maximum is taken", SCORING,
            (_LOG_SOFTMAX, "    log_probs = scaled - scaled.exp().sum(-1, keepdim=True).log()\n")),
    _mutant("the maximum is that of the whole batch", SCORING,
            (_LOG_SOFTMAX, "    top = scaled.amax() if len(scaled) else 0.0\n"
                           "    log_probs = scaled - top - (scaled - top).exp().sum(-1, keepdim=True).log()\n")),
    _mutant("the target is off by one", SCORING,
            ("torch.where(keep, target, 0).long()[:, None]",
             "(torch.where(keep, target, 0).long()[:, None] + 1) % scaled.shape[-1]")),
    _mutant("logits are rounded to bfloat16", SCORING, (_PRODUCT, f"({_PRODUCT}).bfloat16().to(wide)")),
    _mutant("log-probs are stored as bfloat16", SCORING,
            ("return torch.where(keep, logprob, zero)", "return torch.where(keep, logprob.bfloat16().to(zero.dtype), zero)")),
    _mutant("the incoming gradient is forgotten", SCORING, ("    zero = torch.zeros_like(logprob)\n    lse",
                                                            f"{_HOOK}    zero = torch.zeros_like(logprob)\n    lse")),
    _mutant("the incoming gradient of all rows is that of the first", SCORING,
            ("    zero = torch.zeros_like(logprob)\n    lse", _HOOK.replace(
                "torch.ones_like", "lambda g: g[:1].expand_as(g)") + "    zero = torch.zeros_like(logprob)\n    lse")),
    _mutant("ignored rows are scored", SCORING,
            ("return torch.where(keep, logprob, zero), torch.where(keep, _entropy(log_probs), zero)",
             "return logprob, _entropy(log_probs)")),
    _mutant("an ignored row's hidden state enters the product", SCORING,
            ("rows = torch.where((target != ignore_index)[:, None], hidden, torch.zeros_like(hidden)).to(wide)",
             "rows = hidden.to(wide)")),
    _mutant("0 times -inf enters the entropy", SCORING, ("log_probs.masked_fill(probs == 0, 0)", "log_probs")),
    _mutant("the entropy is a difference of large numbers", SCORING,
            ("torch.where(keep, _entropy(log_probs), zero)",
             "torch.where(keep, lse - (log_probs.exp() * scaled.masked_fill(log_probs == -torch.inf, 0)).sum(-1), zero)")),
    _mutant("the soft-cap is left out of the derivative", SCORING,
            ("logits = softcap * torch.tanh(logits / softcap)",
             "logits = logits + (softcap * torch.tanh(logits / softcap) - logits).detach()")),
    _mutant("the soft-cap comes after the temperature", SCORING,
            ("logits = softcap * torch.tanh(logits / softcap)",
             "logits = softcap * torch.tanh(logits / softcap / _column(temperature, logits)) * _column(temperature, logits)")),
    _mutant("the bias is forgotten", SCORING, ("logits = logits + bias.to(logits.dtype).masked_fill(excluded, 0.0)",
                                                "logits = logits")),
    _mutant("a soft-capped -inf is finite", SCORING,
            ("excluded = bias == -torch.inf", "excluded = torch.zeros_like(bias, dtype=torch.bool)")),
    _mutant("banned ids keep a small probability", SCORING,
            ("masked_fill(excluded, -torch.inf)", "masked_fill(excluded, -1e4)")),
    _mutant("row offsets wrap at 2**31 elements", ("test_offsets",),
            ("    scaled = _scaled(logits.to(accumulate_dtype(logits.dtype)), None, banned_ids, None, temperature)\n    return",
             "    starts = [row * logits.stride(0) % 2**31 for row in range(len(logits))]\n"
             "    logits = torch.stack([logits.as_strided(logits.shape[1:], (1,), start) for start in starts])\n"
             "    scaled = _scaled(logits.to(accumulate_dtype(logits.dtype)), None, banned_ids, None, temperature)\n    return")),
    # -- losses --
    _mutant("the guard flips its token alone", LOSS, ("hits[step_index] > 0, clipped", "over > 0, clipped")),
    _mutant("the guard flips the whole batch", LOSS, ("hits[step_index] > 0, clipped", "hits.sum() > 0, clipped")),
    _mutant("KL is taken the other way round", LOSS,
            ("(_kept(token_weight, ref_logprob) - logprob)", "(logprob - _kept(token_weight, ref_logprob))")),
    _mutant("KL is rewarded", LOSS, ("per_token + kl_coef *", "per_token - kl_coef *")),
    _mutant("k3 uses the inverse ratio", LOSS,
            ("else torch.expm1(difference) - difference", "else torch.expm1(-difference) + difference")),
    _mutant("the lower side is not clipped", LOSS,
            ("ratio.clamp(1.0 - clip_low, 1.0 + clip_high)", "ratio.clamp(max=1.0 + clip_high)")),
    _mutant("the two clips are exchanged", LOSS,
            ("ratio.clamp(1.0 - clip_low, 1.0 + clip_high)", "ratio.clamp(1.0 - clip_high, 1.0 + clip_low)")),
    _mutant("the larger of both terms is taken", LOSS,
            ("torch.minimum(ratio * advantage, clipped)", "torch.maximum(ratio * advantage, clipped)")),
    _mutant("the clipped term is always taken", LOSS, ("torch.minimum(ratio * advantage, clipped)", "clipped")),
    _mutant("tokens are taken to be sorted by step", LOSS,
            ("advantage = advantages[step_index]", "advantage = advantages[step_index.sort().values]")),
    _mutant("every token takes the mean advantage", LOSS,
            ("advantage = advantages[step_index]", "advantage = advantages.mean().expand_as(logprob)")),
    _mutant("old log-probs are stored as bfloat16", LOSS,
            ("_kept(token_weight, old_logprob)", "_kept(token_weight, old_logprob).bfloat16().to(logprob.dtype)")),
    _mutant("log-ratios are not capped", LOSS, ("raw.clamp(-log_ratio_cap, log_ratio_cap).exp()", "raw.exp()")),
    _mutant("the token weight is a mask only", LOSS,
            ("(token_weight * per_token).sum()", "((token_weight != 0) * per_token).sum() / len(per_token)")),
    _mutant("a masked NaN is multiplied by 0", LOSS,
            ("return torch.where(weight != 0, values, torch.zeros_like(values))", "return values")),
    _mutant("dual clip bounds positive advantages too", LOSS,
            ("torch.where(advantage < 0, torch.maximum", "torch.where(advantage == advantage, torch.maximum")),
    _mutant("the clip fraction counts one side", LOSS, ("clip_frac=mean(low | high)", "clip_frac=mean(high)")),
    _mutant("statistics are plain means over tokens", LOSS,
            ("return (token_weight * values).sum() / total", "return values.to(total.dtype).sum() / max(1, len(values))")),
    _mutant("the value loss is not halved", VALUE,
            ("return coef * (step_weight * loss).sum()", "return (step_weight * loss).sum()")),
    _mutant("the smaller of both value errors is taken", VALUE,
            ("torch.maximum(loss, moved)", "torch.minimum(loss, moved)")),
    _mutant("the value is clipped around its return", VALUE,
            ("old + (value - old).clamp(-clip, clip)", "returns + (value - returns).clamp(-clip, clip)")),
    _mutant("Huber jumps at its delta", VALUE, ("huber * (2 * error.abs() - huber)", "huber * error.abs()")),
    _mutant("a masked NaN value is multiplied by 0", VALUE,
            ("return torch.where(weight != 0, values, torch.zeros_like(values))", "return values")),
    _mutant("the fused loss forgets the temperature", FUSED, ("bias=bias, temperature=temperature", "bias=bias")),
    _mutant("the fused loss shifts its tokens by one", FUSED,
            ("loss, stats = ppo_clip_loss(\n        logprob, old", "loss, stats = ppo_clip_loss(\n        logprob.roll(1), old")),
    # -- advantages --
    _mutant("GAE bootstraps through a termination", GAE,
            ("ahead = torch.where(terminated[t], torch.zeros_like(ahead), ahead)", "ahead = ahead"),
            ("gamma * live * ahead", "gamma * ahead")),
    _mutant("GAE multiplies what lies behind an end by 0", GAE,
            ("ahead = torch.where(terminated[t], torch.zeros_like(ahead), ahead)", "ahead = ahead")),
    _mutant("GAE carries an advantage across a truncation", GAE, ("goes_on > 0", "live > 0")),
    _mutant("GAE bootstraps a truncation with the next episode's value", GAE,
            ("ahead = torch.where(truncated[t], at_cut, following)", "ahead = following")),
    _mutant("GAE treats a truncation as a termination", GAE,
            ("ahead = torch.where(truncated[t], at_cut, following)",
             "ahead = torch.where(truncated[t], torch.zeros_like(at_cut), following)")),
    _mutant("GAE forgets lambda", GAE, ("gamma * lam * carry", "gamma * carry")),
    _mutant("GAE forgets the bootstrap", GAE,
            ("torch.zeros_like(bootstrap), bootstrap\n", "torch.zeros_like(bootstrap), torch.zeros_like(bootstrap)\n")),
    _mutant("returns are advantages", GAE, ("return advantage, advantage + value", "return advantage, advantage")),
    _mutant("all segments take the first one's bootstrap", GAE, ("bootstrap[k : k + 1]", "bootstrap[:1]")),
    _mutant("whitening divides by n", WHITEN, ("std(unbiased=unbiased)", "std(unbiased=False)")),
    _mutant("whitening counts masked entries", WHITEN, ("chosen = values[mask]", "chosen = values.flatten()")),
    _mutant("whitening divides rounding by rounding", WHITEN, (" or bool(chosen.max() == chosen.min())", "")),
    _mutant("whitening forgets eps", WHITEN, (" + eps)", ")")),
    _mutant("whitening only scales", WHITEN, ("(values - chosen.mean())", "values")),
    # -- sampling and packing --
    _mutant("the raw log-prob is the processed one", SAMPLING, ("raw.gather(-1, pick)", _PROCESSED)),
    _mutant("the processed log-prob is the raw one", SAMPLING, (_PROCESSED, "raw.gather(-1, pick)")),
    _mutant("the processed log-prob is not renormalised", SAMPLING, (_PROCESSED, "kept.gather(-1, pick)")),
    _mutant("top-p comes before top-k", SAMPLING, ("probs = ordered.softmax(-1)", "probs = ordered.exp()")),
    _mutant("top-p drops the id that crosses it", SAMPLING,
            ("probs.cumsum(-1) - probs >= share", "probs.cumsum(-1) >= share")),
    _mutant("top-p of 0 leaves nothing", SAMPLING, ("    is_cut[:, 0] = False\n", "")),
    _mutant("min-p is an absolute probability", SAMPLING, ("probs < min_p * probs[:, :1]", "probs < min_p")),
    _mutant("greedy rows get noise", SAMPLING, ("_column(greedy, raw) != 0", "_column(greedy, raw) != _column(greedy, raw)")),
    _mutant("ties go to the highest id", SAMPLING,
            ("(kept.double() + noise).argmax(-1)", "kept.shape[-1] - 1 - (kept.double() + noise).flip(-1).argmax(-1)")),
    _mutant("the noise depends on the place in the batch", SAMPLING,
            ("counter_uniform(seed, position, raw", "counter_uniform(seed + torch.arange(len(seed)), position, raw")),
    _mutant("the position is forgotten", SAMPLING, ("(position + 1) * _GOLDEN", "0 * position")),
    _mutant("seed s + 1 repeats seed s one position later", SAMPLING,
            ("_mix(_mix(seed + _GOLDEN) + (position + 1) * _GOLDEN)", "_mix(seed + position + _GOLDEN)")),
    _mutant("the noise is not Gumbel's", SAMPLING, ("noise = -torch.log(-torch.log(", "noise = torch.log(-torch.log(")),
    _mutant("the noise is scaled by the temperature", SAMPLING,
            ("(kept.double() + noise)", "(kept.double() + noise * temperature)")),
    _mutant("banned ids can be drawn", SAMPLING,
            ("excluded = excluded.index_fill(0, banned_ids.long(), True)", "excluded = excluded.clone()")),
    _mutant("a NaN row is sampled", SAMPLING,
            ("valid = torch.isfinite(scaled.max(-1).values)", "valid = ~torch.isneginf(scaled.max(-1).values)")),
    _mutant("a token is scored by its own hidden state", PACK, ("hidden[step_index, position - 1]", "hidden[step_index, position]")),
    _mutant("a mask at position 0 wraps to another row", PACK,
            ("if bool((position == 0).any()):", "if len(position) > 99:")),
    # -- the torch tier, behind the dispatcher, the operators and their derivatives --
    _mutant("torch tier: the incoming gradient is forgotten", SCORING,
            ("ids[at], grad_logprob[at], upstream", "ids[at], torch.ones_like(grad_logprob[at]), upstream"), of=torch_tier),
    _mutant("torch tier: 1 / T is forgotten in the derivative", SCORING,
            ("    delta /= temperature[:, None]\n", ""), of=torch_tier),
    _mutant("torch tier: the slope of the soft-cap is forgotten", SCORING,
            ("return delta if rows.slope is None else delta * rows.slope", "return delta"), of=torch_tier),
    _mutant("torch tier: an excluded target pulls at its own column", SCORING,
            ("own = (rows.shifted.gather(-1, target[:, None]) != -torch.inf).to(delta.dtype)",
             "own = torch.ones_like(delta[:, :1])"), of=torch_tier),
    _mutant("torch tier: the last chunk is dropped", SCORING,
            ("for start in range(0, count, size):", "for start in range(0, count - (count % size if count > size else 0), size):"),
            of=torch_tier),
    _mutant("torch tier: an ignored row's gradient is 0 times NaN", SCORING,
            ("torch.where((kept & inside)[at, None], product, torch.zeros_like(product))", "product * (kept & inside)[at, None]"),
            of=torch_tier),
    _mutant("torch tier: the gradient of the entropy has the wrong sign", SCORING,
            ("delta -= spread *", "delta += spread *"), of=torch_tier),
    _mutant("torch tier: the product is not padded in batch-invariant mode", SCORING,
            ("size if batch_invariant else 0", "0"), ("            if batch_invariant:\n", "            if False:\n"), of=torch_tier),
    _mutant("torch tier: log-probs are a difference of large numbers", SCORING,
            ("logprob=shifted.gather(-1, target[:, None])[:, 0] - log_total",
             "logprob=shifted.gather(-1, target[:, None])[:, 0] + top - (top + log_total)"), of=torch_tier),
    _mutant("torch tier: KL pushes the wrong way", LOSS,
            ("slope - kl_coef * kl_slope", "slope + kl_coef * kl_slope"), of=torch_tier),
    _mutant("torch tier: a guarded step keeps its unclipped gradient", LOSS,
            ("        moves = torch.where(is_guarded, in_range.to(raw.dtype), moves)\n", ""), of=torch_tier),
    _mutant("torch tier: a capped log-ratio has a gradient", LOSS, ("-free * moves * within", "-free * moves"), of=torch_tier),
    _mutant("torch tier: a clipped value has a gradient", VALUE,
            ("moved_slope * (step.abs() <= clip)", "moved_slope"), of=torch_tier),
    _mutant("torch tier: the scan of GAE multiplies what lies behind an end by 0", GAE,
            ("torch.where(decay == 0, zero, decay * behind)", "decay * behind"), of=torch_tier),
    _mutant("torch tier: the scan of GAE runs across segments", GAE, ("terminated | truncated | is_last", "terminated | truncated"),
            of=torch_tier),
    _mutant("torch tier: sampling is truncated after top-p", SAMPLING,
            ("processed = kept.log_softmax(-1) if is_truncated else raw", "processed = raw"), of=torch_tier),
    # -- layers of a decoder --
    _mutant("the norm takes off the mean", DECODER,
            ("wide = x.to(accumulate_dtype(x.dtype))",
             "wide = x.to(accumulate_dtype(x.dtype))\n    wide = wide - wide.mean(-1, keepdim=True)"),
            of=decoder_reference),
    _mutant("eps stands outside the root", DECODER,
            ("torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)", "(1 / (wide.pow(2).mean(-1, keepdim=True).sqrt() + eps))"),
            of=decoder_reference),
    _mutant("the norm sums squares in its input's dtype", DECODER,
            ("x.to(accumulate_dtype(x.dtype))", "x"), of=decoder_reference),
    _mutant("the weight comes before the rounding", DECODER,
            ("return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)",
             "return (weight.to(wide.dtype) * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps))).to(x.dtype)"),
            of=decoder_reference),
    _mutant("the weight of the norm counts from one", DECODER,
            ("return weight * (wide", "return (1 + weight) * (wide"), of=decoder_reference),
    _mutant("the gate is not activated", DECODER, ("torch.nn.functional.silu(gate) * up", "gate * up"), of=decoder_reference),
    _mutant("the wrong half is activated", DECODER,
            ("torch.nn.functional.silu(gate) * up", "gate * torch.nn.functional.silu(up)"), of=decoder_reference),
    _mutant("the gate is a GELU", DECODER,
            ("torch.nn.functional.silu(gate)", "torch.nn.functional.gelu(gate)"), of=decoder_reference),
    _mutant("rotary pairs are neighbours", DECODER,
            ("first, second = x.chunk(2, -1)", "first, second = x[..., ::2], x[..., 1::2]"), of=decoder_reference),
    _mutant("rotary turns the other way", DECODER,
            ("first * cos - second * sin, second * cos + first * sin", "first * cos + second * sin, second * cos - first * sin"),
            of=decoder_reference),
    _mutant("every row is turned by the first row's angles", DECODER,
            ("sin.to(x.dtype)[:, None]", "sin[:1].to(x.dtype)[:, None]"), of=decoder_reference),
    _mutant("torch tier: the norm's gradient forgets the projection", DECODER, ("(above - unit * along)", "above"), of=decoder_torch),
    _mutant("torch tier: the norm's gradient forgets the weight", DECODER, ("    above = above * weight\n", ""), of=decoder_torch),
    _mutant("torch tier: the weight's gradient forgets the norm", DECODER,
            ("for_weight = (above * unit)", "for_weight = (above * x)"), of=decoder_torch),
    _mutant("torch tier: the gradients of gate and up are exchanged", DECODER,
            ("return for_gate.contiguous(), for_up.contiguous()", "return for_up.contiguous(), for_gate.contiguous()"),
            of=decoder_torch),
    _mutant("torch tier: the gradient is turned forward", DECODER,
            ("-sin[:, None] if is_inverse else sin[:, None]", "sin[:, None]"), of=decoder_torch),
    _mutant("a head reads the keys of the next group", ATTENTION,
            ("k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)", "k.repeat(group, 1, 1), v.repeat(group, 1, 1)"),
            of=decoder_reference),
    _mutant("the present token is not attended to", ATTENTION,
            ("keys, values = key_cache[at, :count]", "count = max(1, count - 1)\n        keys, values = key_cache[at, :count]"),
            of=decoder_reference),
    _mutant("one key too many is attended to", ATTENTION,
            ("key_cache[at, :count], value_cache[at, :count]", "key_cache[at, : count + 1], value_cache[at, : count + 1]"),
            of=decoder_reference),
    _mutant("a row reads the slot of its own number", ATTENTION,
            ("key_cache[at, :count], value_cache[at, :count]", "key_cache[row, :count], value_cache[row, :count]"),
            of=decoder_reference),
    _mutant("the scale of attention is forgotten", ATTENTION,
            ("scores = scale * (q @ k.transpose(1, 2))", "scores = q @ k.transpose(1, 2)"), of=decoder_reference),
    _mutant("the prefix is forgotten", ATTENTION,
            ("torch.cat([prefix_key, keys]), torch.cat([prefix_value, values])", "keys, values"), of=decoder_reference),
    _mutant("torch tier: keys behind a row are seen", ATTENTION, (">= length[:, None]", "> length[:, None]"), of=decoder_torch),
    _mutant("torch tier: the prefix has a softmax of its own", ATTENTION,
            ("torch.cat([q @ shared, scores], -1).softmax(-1)", "torch.cat([(q @ shared).softmax(-1), scores.softmax(-1)], -1)"),
            of=decoder_torch),
    _mutant("a token sees the one behind it", PACKED, ("> position[:, None]", "> position[:, None] + 1"), of=decoder_reference),
    _mutant("a token does not see itself", PACKED,
            ("> position[:, None]\n", "> (position[:, None] - 1).clamp_min(0)\n"), of=decoder_reference),
    _mutant("queries are the first tokens of their row", PACKED,
            ("torch.arange(count - len(queries), count,", "torch.arange(len(queries),"), of=decoder_reference),
    _mutant("the prefix is causal too", PACKED,
            ("hidden.new_zeros(len(queries), len(prefix_key))", "torch.arange(len(prefix_key)) > position[:, None]"),
            of=decoder_reference),
    _mutant("rows see each other", PACKED,
            ("key[starts[row] : starts[row + 1]], value[starts[row] : starts[row + 1]]",
             "key[: starts[row + 1]], value[: starts[row + 1]]"),
            of=decoder_reference),
    _mutant("the prefix has no gradient", PACKED,
            ("keys, values = torch.cat([prefix_key, keys]), torch.cat([prefix_value, values])\n        rows",
             "shared = prefix_key.detach() + 0 * prefix_key\n"
             "            keys, values = torch.cat([shared, keys]), torch.cat([prefix_value, values])\n        rows"),
            of=decoder_reference),
    _mutant("torch tier: padding is seen", PACKED,
            ("seen = seen & (is_token[:, None] | ~is_query[:, :, None])", "seen = seen.expand(len(lengths), count, length)"),
            of=decoder_torch),
    _mutant("torch tier: rows are flush left", PACKED,
            ("query_offsets[1:, None] - count + asked", "query_offsets[:-1, None] + asked"), of=decoder_torch),
    _mutant("torch tier: places without a query have a gradient", PACKED,
            ("        above = above * at.is_query[rows].repeat(1, heads // kv_heads)[:, None, :, None]\n", ""), of=decoder_torch),
    _mutant("torch tier: scores have no scale in backward", PACKED, ("slope = scale * share * slope", "slope = share * slope"),
            of=decoder_torch),
    _mutant("torch tier: the softmax has no projection in backward", PACKED,
            (" - (above * result).sum(-1, keepdim=True)", ""), of=decoder_torch),
    _mutant("torch tier: only the last rows reach the prefix's gradient", PACKED,
            ("for_shared[0] += (slope_before.mT @ q).sum(0)", "for_shared[0] += (slope_before.mT @ q)[-1]"), of=decoder_torch),
)  # fmt: skip
