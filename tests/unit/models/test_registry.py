"""What the registry says of models is so: cards, licences, one way to each one's weights, and what ships."""

import hashlib

import pytest
import safetensors.torch
import torch

from facepipe.models.distances import Distances
from facepipe.models.registry import MODELS, ModelEntry
from facepipe.models.tensors import metadata_of

MOST_BYTES = 5_000_000
SHIPPED = [entry for entry in MODELS.values() if entry.ships]


def test_every_entry_has_its_card() -> None:
    for entry in MODELS.values():
        assert entry.card.read_text(encoding="utf-8").startswith(f"# {entry.name}\n")
        assert entry.licence
        ways = (entry.source is not None, entry.ships, entry.import_file is not None)
        assert sum(ways) == 1  # one way to its weights
        assert (entry.sha256 is None) == (entry.import_file is not None)


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_weights_that_ship_are_small_and_those_that_are_meant(entry: ModelEntry) -> None:
    assert entry.shipped_file is not None
    content = entry.shipped_file.read_bytes()
    assert len(content) <= MOST_BYTES
    assert hashlib.sha256(content).hexdigest() == entry.sha256


@pytest.mark.parametrize("name", ["vggface", "deepface"])
def test_recognisers_ship_in_half_precision_with_the_distances_of_their_training(name: str) -> None:
    file = MODELS[name].shipped_file
    assert file is not None
    assert {values.dtype for values in safetensors.torch.load_file(file).values()} == {torch.float16}
    told = Distances.from_metadata(metadata_of(file.read_bytes()), name)
    assert told == MODELS[name].distances
