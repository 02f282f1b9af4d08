"""The configuration of Milvus: which index a size gets, and what a search sets."""

import pytest
from pydantic import ValidationError

from redrec.index.milvus_config import MAX_EF, MAX_FLAT_ROWS, MilvusConfig


def test_the_size_chooses_the_index_unless_the_config_does():
    config = MilvusConfig()
    assert [config.index(rows).index_type for rows in (1, MAX_FLAT_ROWS, MAX_FLAT_ROWS + 1)] == ["FLAT", "FLAT", "HNSW"]
    assert MilvusConfig(index_type="IVF_SQ8").index(1).index_type == "IVF_SQ8"


def test_the_parameters_reach_the_build_and_the_searches():
    hnsw = MilvusConfig(index_type="HNSW", hnsw_m=8, hnsw_ef_construction=100, hnsw_min_ef=64)
    assert hnsw.index(10).params == {"M": 8, "efConstruction": 100}
    assert (hnsw.search_params(10, k=10), hnsw.search_params(10, k=100)) == ({"ef": 64}, {"ef": 100})
    ivf = MilvusConfig(index_type="IVF_FLAT", ivf_probes=32)
    assert ivf.index(10_000).params == {"nlist": 400}
    assert (ivf.search_params(10_000, k=5), ivf.search_params(16, k=5)) == ({"nprobe": 32}, {"nprobe": 16})
    assert MilvusConfig().index(10).params == MilvusConfig().search_params(10, k=5) == {}


@pytest.mark.parametrize(
    ("config", "params"),
    [
        (MilvusConfig(index_type="FLAT"), [{}]),
        (MilvusConfig(index_type="HNSW"), [{"ef": ef} for ef in (200, 400, 800, 1600, MAX_EF)]),
        (MilvusConfig(index_type="HNSW", hnsw_min_ef=5_000), [{"ef": 5_000}]),
        (MilvusConfig(index_type="IVF_FLAT"), [{"nprobe": probes} for probes in (64, 128, 256, 400)]),
    ],
)
def test_wider_searches_read_twice_as_much_up_to_all(config: MilvusConfig, params: list[dict[str, int]]):
    configs = [config]
    while (wider := configs[-1].with_wider_search(10_000)) is not None:
        configs.append(wider)
    assert [one.search_params(10_000, k=10) for one in configs] == params
    assert all(one.index(10_000) == config.index(10_000) for one in configs)  # the same collection


@pytest.mark.parametrize("index_type", ["IVF_PQ", "SCANN", "DISKANN", "hnsw"])
def test_an_index_that_not_every_milvus_builds_is_refused(index_type: str):
    """Milvus Lite would take it silently, and scan; the server would never end."""
    with pytest.raises(ValidationError, match="'FLAT', 'HNSW', 'IVF_FLAT' or 'IVF_SQ8'"):
        MilvusConfig(index_type=index_type)
