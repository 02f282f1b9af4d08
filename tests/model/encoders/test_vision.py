import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.config import InputError
from redrec.model.config import ItemTowerConfig
from redrec.model.encoders.config import VisionConfig
from redrec.model.encoders.vision import image_path
from redrec.model.item_tower import ItemTower, write_item_content, write_new_item_content
from tests.model.catalogs import encode, tiny_vision_model, write_items

NUM_ITEMS, NUM_FITTED = 24, 12
IS_RED_N = np.arange(NUM_ITEMS) % 2 == 0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_vision_model(tmp_path_factory.mktemp("vision"))


@pytest.fixture
def shop(tmp_path):
    """Items of one text whose images, half of them given as URIs, are red or blue; item 5 has none."""
    rng = np.random.default_rng(0)
    rows = []
    for number, is_red in enumerate(IS_RED_N):
        pixels = rng.integers(0, 60, size=(40, 30, 3), dtype=np.uint8)
        pixels[..., 0 if is_red else 2] += 150
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        image = f"{number}.png" if number < 12 else (tmp_path / f"{number}.png").as_uri()
        rows.append({"title": "shirt", "image": None if number == 5 else image})
    return write_items(tmp_path, rows)


def share_separated(items, folder, vision):
    """Fit the tower and a line to the colours of half the items; return the share of the others on the right side."""
    content = write_item_content(items, folder / "content", ItemTowerConfig(vision=vision, item_dim=16))
    torch.manual_seed(0)
    tower = ItemTower(ItemTowerConfig(vision=vision, item_dim=16), content)
    line, is_red_M = torch.nn.Linear(16, 1), torch.from_numpy(IS_RED_N)
    optimizer = torch.optim.Adam([*tower.parameters(), *line.parameters()], lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        logits_M = line(tower(**content.of(np.arange(NUM_ITEMS))))[:, 0]
        F.binary_cross_entropy_with_logits(logits_M[:NUM_FITTED], is_red_M[:NUM_FITTED].float()).backward()
        optimizer.step()
    return ((logits_M > 0) == is_red_M)[NUM_FITTED:].float().mean().item()


def test_images_tell_apart_what_the_text_cannot(tmp_path, shop, model):
    """Half of the items are red, so chance is 0.5."""
    vision = VisionConfig(model=model, root=tmp_path)
    assert share_separated(shop, tmp_path, vision) == 1
    assert share_separated(shop, tmp_path, None) < 0.75


def test_an_item_without_an_image_keeps_its_content(tmp_path, shop, model):
    config = ItemTowerConfig(vision=VisionConfig(model=model, root=tmp_path))
    content = write_item_content(shop, tmp_path / "content", config)
    tower = ItemTower(config, content)
    vectors_ME, text_ME = encode(tower, content), encode(tower.encoder, content.encoded)
    assert torch.equal(vectors_ME[5], text_ME[5])
    assert (vectors_ME != text_ME).any(dim=1).sum() == NUM_ITEMS - 1


def test_images_that_cannot_be_read_are_refused_with_examples(tmp_path, shop, model):
    (tmp_path / "3.png").write_bytes(b"not a picture")
    (tmp_path / "4.png").unlink()
    config = VisionConfig(model=model, root=tmp_path)
    with pytest.raises(InputError, match="2 of 23 images cannot be read, .* such as those of i003, i004. Mend them"):
        write_item_content(shop, tmp_path / "content", ItemTowerConfig(vision=config))

    config = VisionConfig(model=model, root=tmp_path, max_unreadable_share=0.1)
    content = write_item_content(shop, tmp_path / "content", ItemTowerConfig(vision=config))
    has_image_M = content.of(np.arange(NUM_ITEMS))["has_image_M"]
    assert np.flatnonzero(~has_image_M).tolist() == [3, 4, 5]


@pytest.mark.parametrize("image", ["/etc/passwd", "../other.png", "file:///etc/passwd", "https://shop/1.png"])
def test_an_image_outside_the_root_is_not_opened(tmp_path, image):
    with pytest.raises(InputError, match="is not under .* copy the images there"):
        image_path(image, tmp_path)


def test_the_images_of_new_items_are_encoded_as_those_of_the_training(tmp_path, shop, model):
    """Beside one that cannot be read, which is half of the new ones, and an item without an image."""
    config = ItemTowerConfig(vision=VisionConfig(model=model, root=tmp_path))
    trained = write_item_content(shop, tmp_path / "content", config).of(np.array([7, 3]))
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    new = write_items(
        tmp_path, [{"title": "shirt", "image": image} for image in ("7.png", "3.png", "broken.png", None)]
    )
    inputs = write_new_item_content(new, tmp_path / "new", config, tmp_path / "content", np.full(4, -1)).of(
        np.arange(4)
    )
    torch.testing.assert_close(inputs["image_MV"][:2], trained["image_MV"], rtol=0, atol=5e-3)
    assert inputs["has_image_M"].tolist() == [True, True, False, False]
