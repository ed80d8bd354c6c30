"""The C++ tier's row operations equal the specification at every instruction set, for odd shapes and unkind values."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from vldac.kernels.tier import accumulate_dtype
from vldac.kernels.types import SampleOutput

from vldac import _core
from vldac.kernels import cpp_rows, linear_logprob, reference

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
IGNORED = -100


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=_core.isa_tiers(), autouse=True)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    cpp_rows._native()  # hands the threads over
    kernels = _core.RowKernels(request.param)
    monkeypatch.setattr(cpp_rows, "_native", lambda: kernels)
    return str(request.param)


def exclude(vocabulary: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(banned ids, the column bias that says the same)"""
    banned = torch.randperm(vocabulary)[: vocabulary // 3]
    return banned, torch.zeros(vocabulary, dtype=accumulate_dtype(dtype)).index_fill(0, banned, -torch.inf)


def assert_near(ours: Tensor, theirs: Tensor, atol: float) -> None:
    """Equal within atol; not finite in the same places (NaN where the specification has NaN, -inf where -inf)."""
    assert ours.dtype == accumulate_dtype(ours.dtype)
    torch.testing.assert_close(ours.double(), theirs.detach().double(), atol=atol, rtol=0, equal_nan=True)


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.double() - theirs).norm() / theirs.norm().clamp_min(0.1))


def bound(dtype: torch.dtype, narrow: float, wide: float, double: float) -> float:
    return {torch.float32: wide, torch.float64: double}.get(dtype, narrow)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rows", "vocabulary"), [(0, 5), (1, 1), (3, 37), (127, 127), (5, 1000), (129, 33), (2, 151936)]
)
@pytest.mark.parametrize("is_banned", [False, True])
def test_selective_log_softmax_equals_the_specification(
    dtype: torch.dtype, rows: int, vocabulary: int, is_banned: bool
) -> None:
    torch.manual_seed(rows + vocabulary)
    wide = accumulate_dtype(dtype)
    # Rows of a larger matrix: their stride is not their length, and what follows a row must not count.
    logits = (torch.randn(rows, vocabulary + 3, dtype=torch.float64) * 3).to(dtype)[:, :vocabulary]
    target = torch.randint(vocabulary, (rows,))
    temperature = torch.rand(rows, dtype=wide) + 0.5 if rows > 1 else torch.tensor([0.7], dtype=wide)
    banned, bias = exclude(vocabulary, dtype) if is_banned else (None, None)
    if rows > 2:
        target[1], logits[1] = IGNORED, torch.nan
    exact = logits.double().requires_grad_()
    theirs = reference.selective_log_softmax(exact, target, temperature=temperature.double(), banned_ids=banned)
    ours = cpp_rows.selective_log_softmax(logits, target, bias, temperature, IGNORED)
    for value, expected, atol in zip(ours, theirs, (2e-5, 5e-5, 2e-5), strict=True):
        assert value.dtype == wide
        assert_near(value, expected, 1e-12 if dtype == torch.float64 else atol)
    slope, entropy_slope = torch.randn(2, rows, dtype=wide)
    slope = torch.where(ours[0].isfinite(), slope, 0)
    loss = (torch.where(ours[0].isfinite(), theirs.logprob, 0) * slope).sum() + (theirs.entropy * entropy_slope).sum()
    (expected,) = torch.autograd.grad(loss, exact)
    arguments = (logits, target, bias, temperature, IGNORED, ours[2], ours[1])
    gradient = cpp_rows.selective_log_softmax_backward(slope, entropy_slope, *arguments, inplace=False)
    assert gradient.dtype == dtype
    assert relative(gradient, expected) < bound(dtype, 5e-3, 1e-5, 1e-12)
    plain = cpp_rows.selective_log_softmax_backward(slope, None, *arguments, inplace=False)
    written = cpp_rows.selective_log_softmax_backward(slope, None, *arguments, inplace=True)
    assert written.data_ptr() == logits.data_ptr()
    assert torch.equal(written, plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    ("rows", "vocabulary", "hidden_size"), [(0, 5, 4), (1, 1, 4), (3, 37, 8), (127, 127, 16), (70, 9001, 5)]
)
@pytest.mark.parametrize("softcap", [0.0, 2.0])
@pytest.mark.parametrize("is_strided", [False, True])
def test_linear_logprob_equals_the_specification(
    dtype: torch.dtype, rows: int, vocabulary: int, hidden_size: int, softcap: float, is_strided: bool
) -> None:
    torch.manual_seed(rows + vocabulary)
    wide = accumulate_dtype(dtype)
    hidden = torch.randn(rows, hidden_size, dtype=torch.float64).to(dtype)
    weight = (0.3 * torch.randn(vocabulary, hidden_size, dtype=torch.float64)).to(dtype)
    bias = None
    if is_strided:
        hidden = torch.randn(hidden_size, 2 * rows, dtype=torch.float64).to(dtype).T[::2]
        weight = weight.T.contiguous().T
        bias = torch.randn(vocabulary, dtype=wide) + exclude(vocabulary, dtype)[1]
    target = torch.randint(vocabulary, (rows,))
    temperature = torch.rand(rows, dtype=wide) + 0.5 if is_strided and rows > 0 else torch.tensor([0.7], dtype=wide)
    if rows > 2:
        target[1], hidden[1] = IGNORED, torch.nan
    exact = [None if x is None else x.double().requires_grad_() for x in (hidden, weight, bias)]
    degrees = temperature.double() if len(temperature) > 1 else float(temperature)
    theirs = reference.linear_logprob(
        exact[0], exact[1], target, bias=exact[2], temperature=degrees, softcap=softcap or None
    )
    arguments = (hidden, weight, target, bias, temperature, softcap, IGNORED)
    options = {"chunk_rows": 32, "batch_invariant": is_strided}
    *ours, jacobian = cpp_rows.linear_logprob(*arguments, needs_gradient=True, **options)
    *again, nothing = cpp_rows.linear_logprob(*arguments, needs_gradient=False, **options)
    assert nothing.shape == (0, hidden_size)
    for value, twice, expected, atol in zip(ours, again, theirs, (2e-5, 5e-5, 2e-5), strict=True):
        assert_near(value, expected, 1e-12 if dtype == torch.float64 else atol)
        assert_near(twice, expected, 1e-12 if dtype == torch.float64 else atol)
    is_finite = ours[0].isfinite()
    limits = bound(dtype, 5e-3, 1e-5, 1e-12)
    (expected,) = torch.autograd.grad(torch.where(is_finite, theirs.logprob, 0).sum(), exact[0], retain_graph=True)
    assert jacobian.dtype == dtype
    assert relative(jacobian[is_finite], expected[is_finite]) < limits
    slope, entropy_slope = torch.randn(2, rows, dtype=wide)
    slope = torch.where(is_finite, slope, 0)
    loss = (torch.where(is_finite, theirs.logprob, 0) * slope).sum() + (theirs.entropy * entropy_slope).sum()
    expected_all = torch.autograd.grad(loss, [x for x in exact if x is not None])
    gradients = cpp_rows.linear_logprob_backward(
        slope, entropy_slope, *arguments, ours[2], ours[1],
        needs_hidden=True, needs_weight=True, needs_bias=bias is not None, chunk_rows=32,
    )  # fmt: skip
    for gradient, wanted in zip([g for g in gradients if g is not None], expected_all, strict=True):
        assert relative(gradient, wanted) < limits
    assert cpp_rows.linear_logprob_backward(
        slope, None, *arguments, ours[2], ours[1], needs_hidden=False, needs_weight=False, needs_bias=False, chunk_rows=0
    ) == (None, None, None)  # fmt: skip


def test_a_not_finite_row_spoils_no_other() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 1000)
    clean = logits.clone()
    logits[1, 999], logits[2, 0], logits[3, 500], logits[4] = torch.nan, torch.inf, -torch.inf, -torch.inf
    target, one = torch.arange(6), torch.ones(1)
    logprob, entropy, lse = cpp_rows.selective_log_softmax(logits, target, None, one, IGNORED)
    expected = cpp_rows.selective_log_softmax(clean, target, None, one, IGNORED)
    for value, other in zip((logprob, entropy, lse), expected, strict=True):
        assert value.isnan().tolist() == [False, True, True, False, True, False]
        assert torch.equal(value[[0, 5]], other[[0, 5]])
    gradient = cpp_rows.selective_log_softmax_backward(
        torch.ones(6), None, logits, target, None, one, IGNORED, lse, entropy, inplace=False
    )
    assert gradient.isnan().any(1).tolist() == [False, True, True, False, True, False]
    assert gradient[3, 500] == 0


def test_values_in_excluded_columns_do_not_matter() -> None:
    logits = torch.randn(3, 50)
    bias = torch.zeros(50).index_fill(0, torch.tensor([7, 49]), -torch.inf)
    expected = cpp_rows.selective_log_softmax(logits, torch.arange(3), bias, torch.ones(1), IGNORED)
    logits[0, 7], logits[1, 7], logits[2, 49] = torch.nan, torch.inf, 1e30
    ours = cpp_rows.selective_log_softmax(logits, torch.arange(3), bias, torch.ones(1), IGNORED)
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))
    gradient = cpp_rows.selective_log_softmax_backward(
        torch.ones(3), torch.ones(3), logits, torch.arange(3), bias, torch.ones(1), IGNORED, ours[2], ours[1], inplace=False
    )  # fmt: skip
    assert bool(gradient.isfinite().all()) and not gradient[:, [7, 49]].any()


def test_a_target_at_minus_infinity_has_that_log_prob_and_finite_gradients() -> None:
    logits = torch.randn(2, 40)
    bias = torch.zeros(40).index_fill(0, torch.tensor([5]), -torch.inf)
    logits[1, 6] = -torch.inf
    target, one = torch.tensor([5, 6]), torch.ones(1)
    logprob, entropy, lse = cpp_rows.selective_log_softmax(logits, target, bias, one, IGNORED)
    assert logprob.tolist() == [-torch.inf, -torch.inf]
    gradient = cpp_rows.selective_log_softmax_backward(
        torch.ones(2), None, logits, target, bias, one, IGNORED, lse, entropy, inplace=False
    )
    assert bool(gradient.isfinite().all())
    assert gradient[0, 5] == 0  # excluded
    assert gradient[1, 6] == 1  # possible, but for its value
    hidden, weight = torch.randn(2, 8), torch.randn(40, 8)
    logprob, *_, jacobian = cpp_rows.linear_logprob(
        hidden, weight, torch.tensor([5, 4]), bias, one, 0.0, IGNORED,
        needs_gradient=True, chunk_rows=0, batch_invariant=False,
    )  # fmt: skip
    assert logprob[0] == -torch.inf and bool(logprob[1] < 0) and bool(jacobian.isfinite().all())


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_far_logits_and_one_hot_rows_stay_exact(shift: float) -> None:
    logits = torch.zeros(3, 130) + shift
    logits[1, 129] += 200
    logits[2] += torch.linspace(-1e4, 0, 130)
    target = torch.tensor([3, 129, 129])
    logprob, entropy, _ = cpp_rows.selective_log_softmax(logits, target, None, torch.ones(1), IGNORED)
    theirs = reference.selective_log_softmax(logits.double(), target)
    assert_near(logprob, theirs.logprob, 2e-5)
    assert_near(entropy, theirs.entropy, 5e-5)
    assert logprob[1] == 0 and entropy[1] == 0
    assert bool((logprob <= 0).all())


def test_log_probs_sum_to_one_and_are_never_positive() -> None:
    logits = torch.randn(1, 300).repeat(300, 1) * 8
    logprob, entropy, _ = cpp_rows.selective_log_softmax(logits, torch.arange(300), None, torch.ones(1), IGNORED)
    assert float(logprob.double().exp().sum()) == pytest.approx(1, abs=1e-5)
    assert bool((logprob <= 0).all()) and bool((entropy >= 0).all())


def results(threads: int) -> list[Tensor]:
    torch.set_num_threads(threads)
    torch.manual_seed(3)
    found: list[Tensor] = []
    for rows, vocabulary in ((1, 70001), (2, 40000), (37, 5000)):
        logits, target, one = torch.randn(rows, vocabulary) * 3, torch.randint(vocabulary, (rows,)), torch.ones(1)
        out = cpp_rows.selective_log_softmax(logits, target, None, one, IGNORED)
        found += out
        found.append(
            cpp_rows.selective_log_softmax_backward(
                out[0], out[0], logits, target, None, one, IGNORED, out[2], out[1], inplace=False
            )
        )
        ids, half = torch.arange(rows), torch.full((rows,), 0.5)
        found += cpp_rows.sample(logits, None, one, None, None, 0.0, ids, ids, ids < 0)
        found += cpp_rows.sample(logits, None, one, None, half, 0.0, ids, ids, ids < 0)
    return found


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    one, two, three = results(1), results(2), results(3)
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(one, two, three, strict=True))


def test_batch_invariant_rows_do_not_depend_on_how_many_there_are() -> None:
    torch.manual_seed(0)
    hidden, weight, target = torch.randn(200, 48), torch.randn(9003, 48), torch.randint(9003, (200,))

    def run(rows: int) -> tuple[Tensor, ...]:
        return cpp_rows.linear_logprob(
            hidden[:rows], weight, target[:rows], None, torch.ones(1), 0.0, IGNORED,
            needs_gradient=True, chunk_rows=0, batch_invariant=True,
        )  # fmt: skip

    whole = run(200)
    for rows in (1, 7, 64, 65):
        assert all(torch.equal(part, all_rows[:rows]) for part, all_rows in zip(run(rows), whole, strict=True))


def test_scratch_does_not_grow_with_rows_or_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    original = torch.mm

    def watched(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, out.numel() * out.element_size())
        return original(a, b, out=out)

    monkeypatch.setattr(torch, "mm", watched)
    for rows, vocabulary in ((3000, 9000), (1, 40000)):
        cpp_rows.linear_logprob(
            torch.randn(rows, 4), torch.randn(vocabulary, 4), torch.zeros(rows, dtype=torch.int64), None, torch.ones(1), 0.0,
            IGNORED, needs_gradient=True, chunk_rows=0, batch_invariant=False,
        )  # fmt: skip
    assert 0 < largest <= 32 << 20


def test_rows_may_lie_beyond_two_to_the_thirty_one_items() -> None:
    """Only the pages of two short rows are ever touched."""
    logits = torch.empty(2**31 + 50, dtype=torch.float16).as_strided((2, 50), (2**31, 1))
    logits[:] = torch.randn(2, 50)
    dense, target, one, ids = logits.clone(), torch.tensor([3, 49]), torch.ones(1), torch.arange(2)
    ours, expected = (cpp_rows.selective_log_softmax(x, target, None, one, IGNORED) for x in (logits, dense))
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))
    drawn, again = (cpp_rows.sample(x, None, one, None, None, 0.0, ids, ids, ids < 0) for x in (logits, dense))
    assert torch.equal(drawn.token, again.token)
    for x in (logits, dense):
        cpp_rows.selective_log_softmax_backward(
            torch.ones(2), None, x, target, None, one, IGNORED, ours[2], ours[1], inplace=True
        )
    assert torch.equal(logits, dense)


def draw(
    logits: Tensor, *, banned: Tensor | None = None, temperature: Tensor, top_k: Tensor | None, top_p: Tensor | None,
    min_p: float, greedy: Tensor,
) -> tuple[SampleOutput, SampleOutput]:  # fmt: skip
    """(ours, the specification's in float64 on the same values)"""
    count, wide = len(logits), accumulate_dtype(logits.dtype)
    seed, position = torch.randint(-(2**62), 2**62, (count,)), torch.randint(0, 5000, (count,))
    bias = None if banned is None else torch.zeros(logits.shape[1], dtype=wide).index_fill(0, banned, -torch.inf)
    ours = cpp_rows.sample(logits, bias, temperature, top_k, top_p, min_p, seed, position, greedy)
    theirs = reference.sample_with_logprob(
        logits.double(), temperature=temperature.double() if len(temperature) > 1 else float(temperature),
        banned_ids=banned, top_k=0 if top_k is None else top_k, top_p=1.0 if top_p is None else top_p.double(), min_p=min_p,
        seed=seed, position=position, greedy=greedy,
    )  # fmt: skip
    return ours, theirs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["plain", "top_k", "top_p", "both", "min_p", "ties"])
@pytest.mark.parametrize(("rows", "vocabulary"), [(1, 1), (24, 37), (16, 1000), (3, 40000)])
def test_samples_equal_the_specification(dtype: torch.dtype, mode: str, rows: int, vocabulary: int) -> None:
    torch.manual_seed(rows * vocabulary)
    wide = accumulate_dtype(dtype)
    for scale in (0.1, 4.0):
        logits = (torch.randn(rows, vocabulary) * scale).to(dtype)
        if mode == "ties":
            logits = logits.round()
        if rows > 3:
            logits[1, vocabulary // 2], logits[2, 3], logits[3] = torch.nan, torch.inf, -torch.inf
        ours, theirs = draw(
            logits,
            banned=torch.randperm(vocabulary)[: vocabulary // 3] if mode != "plain" else None,
            temperature=torch.rand(rows, dtype=wide) + 0.5
            if mode == "both" and rows > 1
            else torch.ones(1, dtype=wide),
            top_k=torch.randint(min(vocabulary, 50) + 1, (rows,)) if mode in ("top_k", "both", "ties") else None,
            top_p=torch.rand(rows, dtype=wide) if mode in ("top_p", "both", "ties") else None,
            min_p=0.05 if mode == "min_p" else 0.0,
            greedy=torch.rand(rows) < 0.3,
        )
        assert torch.equal(ours.valid, theirs.valid)
        assert torch.equal(ours.token, theirs.token)
        double = dtype == torch.float64
        assert_near(ours.logprob_raw, theirs.logprob_raw, 1e-12 if double else 2e-5)
        assert_near(ours.logprob_processed, theirs.logprob_processed, 1e-12 if double else 2e-5)
        assert_near(ours.entropy, theirs.entropy, 1e-12 if double else 5e-5)


def test_greedy_takes_the_lowest_id_of_ties_and_truncation_keeps_the_most_likely() -> None:
    logits = torch.zeros(4, 3000)
    logits[0, [1023, 1024, 2999]] = 5.0
    logits[1, [16, 17]] = 1.0
    zero, ids = torch.zeros(4), torch.arange(4)
    greedy = cpp_rows.sample(logits, None, torch.ones(1), None, None, 0.0, ids, ids, ids >= 0)
    assert greedy.token.tolist() == [1023, 16, 0, 0]
    only = cpp_rows.sample(logits, None, torch.ones(1), None, zero, 0.0, ids, ids, ids < 0)
    assert only.token.tolist() == [1023, 16, 0, 0]
    assert only.logprob_processed.tolist() == [0.0, 0.0, 0.0, 0.0]
    steep = cpp_rows.sample(logits, None, torch.ones(1), None, None, 2.0, ids, ids, ids < 0)
    assert steep.token.tolist() == [1023, 16, 0, 0]


def test_samples_follow_the_distribution_and_not_the_neighbours() -> None:
    probs = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05])
    ids = torch.arange(20000)
    logits = probs.log().repeat(len(ids), 1)
    token = cpp_rows.sample(logits, None, torch.ones(1), None, None, 0.0, ids, ids % 7, ids < 0).token
    counts = torch.bincount(token, minlength=5)
    chi_square = float(((counts - probs * len(ids)) ** 2 / (probs * len(ids))).sum())
    assert chi_square < 18.5  # 99.9 % of chi-square with 4 degrees of freedom
    alone = []
    for i in range(50):
        own = ids[i : i + 1]
        drawn = cpp_rows.sample(logits[:1], None, torch.ones(1), None, None, 0.0, own, own % 7, own < 0)
        alone.append(int(drawn.token))
    assert alone == token[:50].tolist()


def test_the_decoder_and_the_scorer_agree_to_the_bit() -> None:
    logits, ids = torch.randn(40, 30000) * 4, torch.arange(40)
    drawn = cpp_rows.sample(logits, None, torch.ones(1), None, None, 0.0, ids, ids, ids % 2 == 0)
    logprob, entropy, _ = cpp_rows.selective_log_softmax(logits, drawn.token, None, torch.ones(1), IGNORED)
    assert torch.equal(logprob, drawn.logprob_raw) and torch.equal(entropy, drawn.entropy)
    assert torch.equal(drawn.logprob_raw, drawn.logprob_processed)


def test_half_precision_survives_the_round_trip_of_a_gradient() -> None:
    """With upstream 1 and one column p = 1, the other gradients are what conversion makes of 0; then every exponent of a half."""
    logits = torch.zeros(1, 64, dtype=torch.float16)
    scale = 2.0 ** torch.arange(-30, 17, dtype=torch.float32)
    one, target = torch.ones(1), torch.zeros(1, dtype=torch.int64)
    for upstream in scale.tolist():
        _, entropy, lse = cpp_rows.selective_log_softmax(logits, target, None, one, IGNORED)
        gradient = cpp_rows.selective_log_softmax_backward(
            torch.tensor([upstream]), None, logits, target, None, one, IGNORED, lse, entropy, inplace=False
        )
        expected = torch.full((64,), -1 / 64) * upstream
        expected[0] += upstream
        torch.testing.assert_close(gradient[0], expected.half(), rtol=2e-3, atol=2**-24)


def test_bad_targets_and_shapes_are_refused() -> None:
    logits, one = torch.randn(2, 10), torch.ones(1)
    with pytest.raises(ValueError, match=r"target: expected ids in \[0, 10\) or -100, got 10"):
        cpp_rows.selective_log_softmax(logits, torch.tensor([1, 10]), None, one, IGNORED)
    with pytest.raises(ValueError, match="column_bias: expected 10 items, got 9"):
        cpp_rows.selective_log_softmax(logits, torch.tensor([1, 2]), torch.zeros(9), one, IGNORED)
    with pytest.raises(ValueError, match="logits: expected column stride 1"):
        cpp_rows.selective_log_softmax(logits.T, torch.zeros(10, dtype=torch.int64), None, one, IGNORED)


def test_the_tier_says_what_it_runs_on(isa: str) -> None:
    cpu = torch.device("cpu")
    assert all(cpp_rows.unavailable(cpu, dtype) is None for dtype in DTYPES)
    assert cpp_rows.unavailable(cpu, torch.int32) == "it takes float32, bfloat16, float16, float64, not int32"
    assert cpp_rows.unavailable(torch.device("cuda"), torch.float32) == "it runs on the CPU only"
    assert _core.RowKernels(isa).isa == isa
    torch.set_num_threads(2)
    assert cpp_rows.describe().endswith("2 threads of torch's pool")


def test_the_environment_variable_forces_an_instruction_set(isa: str) -> None:
    code = "from vldac.kernels import cpp_rows; print(cpp_rows._native().isa, '|', cpp_rows.describe())"
    environment = {**os.environ, "VLDAC_ISA": isa}
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith(isa + " | ")


def test_the_gradient_of_a_sure_token_keeps_its_precision() -> None:
    """1 - p is what the others have. As a difference of numbers near 1 it has lost its digits, as in eager float32."""
    torch.manual_seed(0)
    weight, hidden = torch.randn(640, 128) / 128**0.5, torch.randn(256, 128) * 12
    target = torch.multinomial((hidden @ weight.T).softmax(-1), 1)[:, 0]

    def gradient(dtype: torch.dtype, score: Callable[..., Any]) -> Tensor:
        rows = hidden.to(dtype).requires_grad_()
        return torch.autograd.grad(score(rows, weight.to(dtype), target).logprob.sum(), rows)[0].double()

    exact = gradient(torch.float64, reference.linear_logprob)

    def worst_row(score: Callable[..., Any]) -> float:
        return float(((gradient(torch.float32, score) - exact).norm(dim=1) / exact.norm(dim=1)).max())

    ours = worst_row(functools.partial(linear_logprob, backend="cpp"))
    assert ours < 1e-3 < 0.05 < worst_row(reference.linear_logprob)
