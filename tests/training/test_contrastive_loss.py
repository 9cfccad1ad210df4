import pytest
import torch
import torch.nn.functional as F
from glrp_training.losses import Form, contrastive_loss
from glrp_training.projection import PatchHead, SliceHead
from glrp_training.targets import STRATEGIES, weigh_slices
from torch import Tensor

POSITIONS = torch.arange(1.0, 9).repeat_interleave(2) / 8
"""Two views of each of eight slices."""
SOURCES = torch.arange(8).repeat_interleave(2)
COUNT = len(POSITIONS)
TAU = 0.1


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def weigh(name: str) -> Tensor:
    return weigh_slices(STRATEGIES[name], POSITIONS, SOURCES).double()


def embed(cosines: Tensor) -> Tensor:
    """Vectors with these cosines: the rows of a Cholesky factor, made longer to show that length is nothing."""
    return torch.linalg.cholesky(cosines) * torch.linspace(0.5, 3, len(cosines), dtype=cosines.dtype)[:, None]


def plain_nt_xent(embeddings: Tensor, own: list[int], tau: float) -> Tensor:
    """NT-Xent written out, anchor by anchor (Chen 2020, eq. 1)."""
    similar = F.cosine_similarity(embeddings[:, None], embeddings[None], dim=-1)
    losses = []
    for i, j in enumerate(own):
        others = torch.stack([torch.exp(similar[i, k] / tau) for k in range(len(own)) if k != i])
        losses.append(-torch.log(torch.exp(similar[i, j] / tau) / others.sum()))
    return torch.stack(losses).mean()


def test_simclr_is_nt_xent() -> None:
    embeddings = draw(COUNT, 32)
    own = [i ^ 1 for i in range(COUNT)]
    torch.testing.assert_close(contrastive_loss(embeddings, weigh("simclr"), TAU), plain_nt_xent(embeddings, own, TAU))


def test_printed_form_is_equation_two() -> None:
    """Written out as printed, its sum over anchors a mean."""
    embeddings, d = draw(COUNT, 32), weigh("grp")
    similar = F.cosine_similarity(embeddings[:, None], embeddings[None], dim=-1)
    total = torch.zeros((), dtype=torch.float64)
    for i in range(COUNT):
        others = [j for j in range(COUNT) if j != i]
        below = torch.stack([d[i, k] * torch.exp(similar[i, k] / TAU) for k in others]).sum()
        total -= torch.stack([torch.log(d[i, j] * torch.exp(similar[i, j] / TAU) / below) for j in others]).mean()
    torch.testing.assert_close(contrastive_loss(embeddings, d, TAU, "literal"), total / COUNT)


@pytest.mark.parametrize(("form", "sign"), [("mended", 1), ("literal", -1)])
def test_least_loss_is_the_entropy_of_the_target(form: Form, sign: int) -> None:
    """At s_ij = ± τ ln d_ij, where it equals the targets' entropy (printed form: of the uniform target, ln(M − 1))."""
    d, tau = weigh("grp"), 0.02
    similar = sign * tau * (d + torch.eye(COUNT)).log()
    embeddings = embed(similar.fill_diagonal_(1)).requires_grad_()
    loss = contrastive_loss(embeddings, d, tau, form)
    shares = d / d.sum(1, keepdim=True)
    entropy = torch.special.entr(shares).sum(1).mean() if form == "mended" else torch.tensor(COUNT - 1.0).log().double()
    torch.testing.assert_close(loss, entropy)
    loss.backward()
    assert embeddings.grad is not None
    torch.testing.assert_close(embeddings.grad, torch.zeros_like(embeddings), atol=1e-9, rtol=0)
    assert contrastive_loss(embeddings.detach() + 0.1 * draw(COUNT, COUNT), d, tau, form) > entropy


@pytest.mark.parametrize(("form", "low", "high"), [("mended", 0.9, 1.0), ("literal", -1.0, -0.9)])
def test_what_each_form_pulls_together(form: Form, low: float, high: float) -> None:
    """Free embeddings end up alike where the targets say so; as printed, where they say the reverse (method §4)."""
    d, embeddings = weigh("grp"), draw(COUNT, 32).requires_grad_()
    optimiser = torch.optim.Adam([embeddings], lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        contrastive_loss(embeddings, d, TAU, form).backward()
        optimiser.step()
    directions = F.normalize(embeddings.detach(), dim=1)
    others = ~torch.eye(COUNT, dtype=torch.bool)
    correlation = torch.corrcoef(torch.stack([(directions @ directions.T)[others], d[others]]))[0, 1]
    assert low <= float(correlation) <= high


@pytest.mark.parametrize("name", ["simclr", "gcl", "pcl", "grp", "glrp-linear"])
def test_order_of_the_views_does_not_matter(name: str) -> None:
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))
    embeddings = draw(COUNT, 32)
    shuffled = weigh_slices(STRATEGIES[name], POSITIONS[order], SOURCES[order])
    torch.testing.assert_close(contrastive_loss(embeddings[order], shuffled), contrastive_loss(embeddings, weigh(name)))


@pytest.mark.parametrize("form", ["mended", "literal"])
def test_lengths_scales_and_the_diagonal_do_not_matter(form: Form) -> None:
    embeddings, d = draw(COUNT, 32), weigh("grp")
    longer = embeddings * torch.linspace(0.01, 100, COUNT)[:, None]
    scaled = d * torch.linspace(0.1, 7, COUNT)[:, None] + 3 * torch.eye(COUNT)
    torch.testing.assert_close(contrastive_loss(longer, scaled, form=form), contrastive_loss(embeddings, d, form=form))


def test_an_anchor_without_weights_counts_nothing() -> None:
    embeddings, targets = draw(4, 8), torch.ones(4, 4)
    targets[1] = 0
    logits = F.normalize(embeddings, dim=1) @ F.normalize(embeddings, dim=1).T / TAU
    others = logits.masked_fill(torch.eye(4, dtype=torch.bool), -torch.inf)
    each = [-(others[i] - others[i].logsumexp(0))[[j for j in range(4) if j != i]].mean() for i in (0, 2, 3)]
    torch.testing.assert_close(contrastive_loss(embeddings, targets, TAU), torch.stack(each).mean())
    assert contrastive_loss(embeddings, torch.zeros(4, 4)) == 0


@pytest.mark.parametrize("form", ["mended", "literal"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_half_precision_stays_finite(dtype: torch.dtype, form: Form, size: float) -> None:
    """Also for equal, opposite and vanishing embeddings, whose similarities are at the ends."""
    embeddings = draw(COUNT, 512) * size
    embeddings[1], embeddings[2], embeddings[3] = embeddings[0], -embeddings[0], 0
    half = embeddings.clamp(-6e4, 6e4).to(dtype).requires_grad_()
    loss = contrastive_loss(half, weigh("grp").to(dtype), TAU, form)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert half.grad is not None
    assert half.grad.isfinite().all()
    assert half.grad.any()


def test_autocast_changes_nothing() -> None:
    embeddings, d = draw(COUNT, 512, dtype=torch.float32), weigh("grp").float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = contrastive_loss(embeddings, d)
    torch.testing.assert_close(loss.double(), contrastive_loss(embeddings.double(), d.double()), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("count", "targets", "form", "message"),
    [
        (4, torch.ones(4, 3), "mended", "found targets of"),
        (1, torch.ones(1, 1), "mended", "expected both M ≥ 2"),
        (COUNT, weigh("pcl"), "literal", "found target weights of 0"),
    ],
)
def test_what_has_no_loss_is_refused(count: int, targets: Tensor, form: Form, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contrastive_loss(draw(count, 8), targets, form=form)


def test_heads_average_and_keep_the_order_of_views_and_patches() -> None:
    """A map that holds, in each of 3 × 3 patches, its image's and its patch's number."""
    numbers = torch.arange(9.0).reshape(3, 3).repeat_interleave(4, 0).repeat_interleave(4, 1)
    coarse = torch.stack([torch.stack([torch.full((12, 12), float(image)), numbers]) for image in range(5)])
    patches, slices = PatchHead(2, hidden=3, out=7), SliceHead(2, hidden=3, out=7)
    slices.layers.load_state_dict(patches.layers.state_dict())
    expected = patches.layers(torch.tensor([[float(image), float(patch)] for image in range(5) for patch in range(9)]))
    torch.testing.assert_close(patches(coarse), expected)
    torch.testing.assert_close(slices(coarse), expected[4::9])  # the mean of the numbers is the middle patch's


def test_heads_are_the_papers() -> None:
    coarse = torch.zeros(2, 768, 2, 2)
    for head, rows in ((SliceHead(768), 2), (PatchHead(768), 18)):
        assert head(coarse).shape == (rows, 512)
        assert sum(p.numel() for p in head.parameters()) == 768 * 769 + 769 * 512
