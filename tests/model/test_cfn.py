"""CFN: attention goes where the object is once trained, and the scene is standardised."""

import pytest
import torch

from harray.features.rowrandom import RowRandom
from harray.model.cfn import CFN
from harray.model.config import CFNConfig
from harray.model.losses import attention_loss, classification_loss


def cfn(scene_dim=8) -> CFN:
    torch.manual_seed(0)
    return CFN(CFNConfig(width=16, num_heads=2), motion_size=12, scene_dim=scene_dim, num_classes=2)


def test_standardisation_folded_into_the_projection_equals_standardising_first():
    module = cfn()
    module.mean_D.normal_()
    module.std_D.uniform_(0.5, 2)
    tokens = torch.randn(2, 5, 8).half()
    plain = module.project((tokens.float() - module.mean_D) / module.std_D)
    assert torch.allclose(module._standardised_projection(tokens), plain, atol=1e-5)


def test_dropped_tokens_get_no_attention_and_one_always_stays():
    module = cfn()
    random = RowRandom(0, 1, torch.arange(6))
    tokens, kept = module.tokens(torch.randn(6, 9, 8), random, dropout=0.95)
    assert kept.any(dim=1).all()
    attention = module(tokens, kept, torch.randn(6, 12)).attention_BS
    assert (attention[~kept] == 0).all()
    assert attention.sum(dim=1).tolist() == pytest.approx([1] * 6)


def scenes(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens of which one tells the class, the class, and that token's place."""
    tokens, labels, place = torch.randn(rows, 9, 8), torch.arange(rows) % 2, torch.randint(9, (rows,))
    tokens[torch.arange(rows), place, 0] = 6.0
    tokens[torch.arange(rows), place, 1] = 12.0 * labels - 6
    return tokens, labels, place


def test_attention_finds_the_token_that_tells_the_classes_apart():
    torch.manual_seed(0)
    module, classify = cfn(), torch.nn.Linear(12, 2)
    optimizer = torch.optim.AdamW([*module.parameters(), *classify.parameters()], 3e-3)
    for _ in range(120):
        tokens, labels, _ = scenes(32)
        view = module(*module.tokens(tokens, None), None)
        loss = classification_loss(classify(view.scene_BD), labels, 0.0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tokens, labels, place = scenes(100)
    view = module(*module.tokens(tokens, None), None)
    assert (classify(view.scene_BD).argmax(1) == labels).float().mean() > 0.95
    assert view.attention_BS[torch.arange(100), place].mean() > 2 / 9  # twice an even share


def test_a_motion_that_tells_all_looks_where_the_scene_alone_would():
    torch.manual_seed(0)
    module, classify = cfn(), torch.nn.Linear(12, 2)
    optimizer = torch.optim.AdamW([*module.parameters(), *classify.parameters()], 3e-3)

    def views(tokens, labels):
        motion_BD = torch.nn.functional.one_hot(labels, 12) * 4.0
        seen = module.tokens(tokens, None)
        return motion_BD, module(*seen, motion_BD), module(*seen, None)

    for _ in range(120):
        tokens, labels, _ = scenes(32)
        motion_BD, both, alone = views(tokens, labels)
        logits = classify(motion_BD + both.scene_BD), classify(alone.scene_BD)
        loss = sum(classification_loss(each, labels, 0.0) for each in logits)
        loss = loss + attention_loss(both.attention_BS, alone.attention_BS)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    tokens, labels, place = scenes(100)
    _, both, alone = views(tokens, labels)
    assert both.attention_BS[torch.arange(100), place].mean() > 1.5 / 9
    assert attention_loss(both.attention_BS, alone.attention_BS).mean() < 0.01  # 0.03 to 0.09 if not held


def test_a_replaced_scene_is_noise_of_the_training_sets_mean_and_deviation_and_others_stay():
    module = cfn()
    module.mean_D.copy_(torch.arange(8.0))
    module.std_D.copy_(torch.linspace(1, 2, 8))
    scenes, rows = torch.full((400, 9, 8), 50.0), torch.arange(400)
    random = RowRandom(0, 1, rows)
    left = module._partly_replaced(scenes, random, random.chance("scene.replaced", 0.5))
    replaced = (left != 50).any(dim=(1, 2))
    assert replaced.float().mean() == pytest.approx(0.5, abs=0.1)
    assert left[replaced].mean(dim=(0, 1)).tolist() == pytest.approx(module.mean_D.tolist(), abs=0.2)
    assert left[replaced].std(dim=(0, 1)).tolist() == pytest.approx(module.std_D.tolist(), rel=0.1)
    few = RowRandom(0, 1, rows[:7])
    alike = module._partly_replaced(scenes[:7], few, few.chance("scene.replaced", 0.5))
    assert torch.equal(alike, left[:7])  # by its number, whatever batch a row is in
