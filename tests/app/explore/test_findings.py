"""Size and speed in words: what was counted, what was measured, and never a promise."""

from __future__ import annotations

from app.explore import findings
from core.records import LayerCount, Sizes, Speed, SpeedPoint

LAYER = LayerCount(weights=1_000_000, zeros=500_000, fits_two_four=False, zero_columns=3)
SIZE = Sizes(dtype="float16", element_bytes=2, parameters=1_500_000, layers=(LAYER,), folder_bytes=3_000_000)


def speed(*after: float, packed: tuple[float, ...] = (), reason: str = "No GPU.") -> Speed:
    """A speed whose dense model takes a second each round, and the pruned one these seconds."""
    seconds = {"dense": (1.0,) * len(after), "pruned": after} | ({"packed": packed} if packed else {})
    return Speed(device="CPU, 1 thread", dtype="float32", torch="2", prompt=128, tokens=32, no_packed="" if packed else reason,
                 points=(SpeedPoint(batch=4, prefill=seconds, decode=seconds),))


def test_bytes_are_told_with_what_they_are():
    text = findings.size_finding(SIZE)
    assert text.startswith("A plain folder takes 3.0 MB: no parameter is removed")
    assert "2.1 MB (70.8 %)" in text  # 1 MB beside, 125 000 bytes of bits, 1 MB of values
    assert "take more: " in findings.size_finding(SIZE.model_copy(update={"layers": (LAYER.model_copy(update={"zeros": 0}),)}))
    rows = {name: (value, about) for name, value, about in findings.size_rows(SIZE)}
    assert rows["2:4 packed"] == ("3.0 MB", "two values and two 2-bit indices for every four weights; 0 of 1 layer fit")
    assert "3 whole input columns among them" in rows["Parameters removed"][1]


def test_a_tie_is_no_gain_and_the_reason_is_given():
    text = findings.speed_finding(speed(0.97, 1.01, 0.99, 1.02, 0.98, 1.0))
    assert text.startswith("The pruned model is no faster on this device: 1.01 times")
    assert "multiplies zeros like any other number" in text
    assert "each time within the spread" in text
    assert "rounds differ widely" not in text
    assert "rounds differ widely" in findings.speed_finding(speed(0.6, 1.4, 0.8, 1.2, 1.0, 1.1))
    assert "slower in 2 of 2 cases" in findings.speed_finding(speed(*(1.1,) * 6))


def test_a_gain_beyond_the_spread_is_told_as_measured():
    assert "ran at 2.00 times the dense model's speed: faster everywhere" in findings.speed_finding(speed(*(0.5,) * 6))


def test_kernels_for_two_four_are_measured_or_refused_with_the_reason():
    assert findings.packed_finding(speed(1.0)) == "2:4 kernels were not measured. No GPU."
    assert "0.80 times" in findings.packed_finding(speed(1.0, packed=(1.25,)))


def test_the_table_counts_tokens_of_the_whole_batch():
    table = findings.speed_table(speed(0.5, 0.5, 0.5))
    assert "prefill, 4 sequences" in table
    assert "<td>512 (512 to 512)</td><td>1 024 (1 024 to 1 024)</td><td>2.00 (2.00 to 2.00)</td>" in table
    rows = findings.speed_rows(speed(0.5, 0.25))
    assert [(row["model"], row["round"], row["seconds"], row["tokens"]) for row in rows if row["stage"] == "decode"] == [
        ("dense", 1, 1.0, 128), ("dense", 2, 1.0, 128), ("pruned", 1, 0.5, 128), ("pruned", 2, 0.25, 128)]
