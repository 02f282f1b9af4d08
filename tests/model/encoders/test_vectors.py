import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from redrec.config import InputError
from redrec.model.encoders.config import VectorsConfig
from redrec.model.encoders.registry import make_encoder, readings, write_content, write_new_content
from tests.model.catalogs import encode, titled, write_items

NUM_ITEMS = 40
VECTORS_NV = np.random.default_rng(0).normal(3.0, 2.0, size=(NUM_ITEMS, 5)).astype(np.float32)
IDS = [f"i{number:03}" for number in range(NUM_ITEMS)]


@pytest.fixture
def items(tmp_path):
    return write_items(tmp_path, titled(*["x"] * NUM_ITEMS))


def parquet(folder, ids, vectors, column="vector"):
    pq.write_table(pa.table({"item_id": ids, column: pa.array(list(vectors))}), folder / "vectors.parquet")
    return folder / "vectors.parquet"


def expected(present):
    """Centred on the mean of those present, mean square one, written out a second way."""
    centred_KV = VECTORS_NV[present] - VECTORS_NV[present].mean(0)
    return torch.from_numpy(centred_KV / np.sqrt((centred_KV**2).mean()))


def test_vectors_are_aligned_by_id_whatever_their_order(tmp_path, items):
    order = np.random.default_rng(1).permutation(NUM_ITEMS)
    ids = [IDS[k] for k in order] + ["unknown"]
    path = parquet(tmp_path, ids, [*VECTORS_NV[order], np.full(5, 1e3, np.float32)])
    content = write_content(items, tmp_path / "content", VectorsConfig(path=path))
    vectors_MV = content.of(np.arange(NUM_ITEMS))["vectors_MV"]
    torch.testing.assert_close(vectors_MV, expected(range(NUM_ITEMS)), rtol=0, atol=2e-3)


def test_a_npy_file_is_aligned_by_its_ids_and_else_by_its_rows(tmp_path, items):
    np.save(tmp_path / "v.npy", VECTORS_NV)
    np.save(tmp_path / "reversed.npy", VECTORS_NV[::-1])
    (tmp_path / "ids.txt").write_text("\n".join(IDS[::-1]))
    by_row = VectorsConfig(path=tmp_path / "v.npy")
    by_id = VectorsConfig(path=tmp_path / "reversed.npy", ids=tmp_path / "ids.txt")
    for config in (by_row, by_id):
        vectors_MV = write_content(items, tmp_path / "content", config).of(np.arange(NUM_ITEMS))["vectors_MV"]
        torch.testing.assert_close(vectors_MV, expected(range(NUM_ITEMS)), rtol=0, atol=2e-3)


def test_an_item_without_a_vector_gets_the_learned_one(tmp_path, items):
    """Items 3 and 7 are missing, 9 is null."""
    present = [k for k in range(NUM_ITEMS) if k not in (3, 7, 9)]
    path = parquet(tmp_path, [IDS[k] for k in [*present, 9]], [*VECTORS_NV[present], None])
    config = VectorsConfig(path=path, max_absent_share=0.1)
    content = write_content(items, tmp_path / "content", config)
    encoder = make_encoder(config, content, item_dim=8)
    torch.nn.init.normal_(encoder.absent_E)

    content_ME = encode(encoder, content)
    assert torch.equal(content_ME[[3, 7, 9]], encoder.absent_E.detach().expand(3, 8))
    torch.testing.assert_close(content.of(np.array(present))["vectors_MV"], expected(present), rtol=0, atol=2e-3)


def test_too_many_absent_items_are_refused_with_examples(tmp_path, items):
    path = parquet(tmp_path, IDS[4:], VECTORS_NV[4:])
    with pytest.raises(
        InputError, match=r"4 of 40 items have no vector .* i000, i001, i002\. .*raise max_absent_share"
    ):
        write_content(items, tmp_path / "content", VectorsConfig(path=path))


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        (IDS, [*VECTORS_NV[1:], [1.0]], "vectors of sizes .* Give vectors of one size"),
        ([*IDS, IDS[0]], [*VECTORS_NV, VECTORS_NV[0]], "gives 1 items a second vector. Keep one row per item_id"),
        (IDS, [*VECTORS_NV[1:], [np.nan] * 5], "nan, infinite or beyond"),
        (IDS, [*VECTORS_NV[1:], [1e6] * 5], "nan, infinite or beyond"),
        (IDS, [VECTORS_NV[0]] * NUM_ITEMS, "same vector for all of 40 items.* choose the encoder `hashed`"),
        (["a"], [VECTORS_NV[0]], "no vector for any of the 40 items. Check that the item ids agree"),
    ],
)
def test_unfit_vectors_are_refused(tmp_path, items, ids, vectors, message):
    with pytest.raises(InputError, match=message):
        write_content(items, tmp_path / "content", VectorsConfig(path=parquet(tmp_path, ids, vectors)))


def test_a_file_that_does_not_fit_the_catalog_is_refused(tmp_path, items):
    path = parquet(tmp_path, IDS, VECTORS_NV, column="embedding")
    with pytest.raises(InputError, match="no column vector; it has item_id, embedding. Name the column"):
        write_content(items, tmp_path / "content", VectorsConfig(path=path))
    np.save(tmp_path / "v.npy", VECTORS_NV[1:])
    with pytest.raises(InputError, match=r"shape \(39, 5\), but needs one row for each of the 40 items"):
        write_content(items, tmp_path / "content", VectorsConfig(path=tmp_path / "v.npy"))


def test_new_items_are_centred_and_scaled_as_those_of_the_training(tmp_path, items):
    """Each has the vector that it has as one of the training, whatever the other new ones are."""
    config = VectorsConfig(path=parquet(tmp_path, IDS, VECTORS_NV))
    trained = write_content(items, tmp_path / "trained", config).of(np.array([7, 3]))["vectors_MV"]
    new = write_items(tmp_path, [{"item_id": IDS[7]}, {"item_id": "unknown"}, {"item_id": IDS[3]}])
    inputs = write_new_content(new, tmp_path / "new", config, tmp_path / "trained").of(np.arange(3))
    assert torch.equal(inputs["vectors_MV"][[0, 2]], trained)
    assert inputs["is_present_M"].tolist() == [True, False, True]


def test_new_items_without_any_vector_are_absent(tmp_path, items):
    config = VectorsConfig(path=parquet(tmp_path, IDS, VECTORS_NV))
    write_content(items, tmp_path / "trained", config)
    new = write_items(tmp_path, [{"item_id": "unknown"}])
    inputs = write_new_content(new, tmp_path / "new", config, tmp_path / "trained").of(np.arange(1))
    assert inputs["vectors_MV"].shape == (1, 5) and not inputs["is_present_M"].any()


def test_new_vectors_of_another_size_are_refused(tmp_path, items):
    write_content(items, tmp_path / "trained", VectorsConfig(path=parquet(tmp_path, IDS, VECTORS_NV)))
    config = VectorsConfig(path=parquet(tmp_path, IDS, VECTORS_NV[:, :4]))
    with pytest.raises(InputError, match="vectors of 4 coordinates, and the model was trained on 5. Give vectors of"):
        write_new_content(items, tmp_path / "new", config, tmp_path / "trained")


def test_what_is_read_of_an_item_is_its_vector(tmp_path, items):
    other_NV = VECTORS_NV.copy()
    other_NV[4, 0] += 1
    before = readings(items, VectorsConfig(path=parquet(tmp_path, IDS, VECTORS_NV)))
    after = readings(items, VectorsConfig(path=parquet(tmp_path, IDS[1:], other_NV[1:])))
    assert [row for row in range(NUM_ITEMS) if before[row] != after[row]] == [0, 4]
