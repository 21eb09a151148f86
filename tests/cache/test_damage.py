"""Damaged, flipped, emptied databases: what can be read is kept, what cannot is missing and told, and nothing false is served."""

import shutil
import sqlite3

import pytest

from cache import Store
from cache.rows import DamagedStore
from core.records import LayerRecord
from core.run.block_files import TensorFiles
from core.spec.errors import BadInput
from tests.cache.examples import key_of, layer_record, record_of, result_of

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    store = Store(folder)
    for index in range(400):
        store.put_record(record_of(index, submitted=float(index), error="why " * 200))
    store.put_result(key_of(0), result_of())
    assert store.damage() == ()
    store.close()
    for table in ("records", "documents"):
        checkpoint(folder, table)
    return folder


@pytest.fixture
def home(whole, tmp_path):
    """A copy of the store that a test may damage."""
    return shutil.copytree(whole, tmp_path / "home")


def database(home, table):
    return home / "store" / table / "cache.db"


def checkpoint(home, table):
    """Everything in the one file, as after a clean end."""
    connection = sqlite3.connect(database(home, table))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def test_a_flipped_digit_is_a_missing_row_and_told(home):
    connection = sqlite3.connect(database(home, "records"))
    changed = connection.execute("UPDATE Cache SET value = replace(value, '\"submitted\":7.0', '\"submitted\":8.0') WHERE key = ?",
                                 (key_of(7),))
    assert changed.rowcount == 1
    connection.commit()
    connection.close()
    store = Store(home)
    assert store.record(key_of(7)) is None, "with a checksum it was there before, submitted at another time"
    assert store.record(key_of(8)) == record_of(8, submitted=8.0, error="why " * 200)
    assert len(store.runs(limit=1000)) == 399
    (told,) = store.damage()
    assert told.startswith("1 stored entry does not hold what was written")
    store.put_record(record_of(7, submitted=7.0))
    assert store.damage() == ()


@pytest.mark.parametrize("known", [True, False], ids=["with a checksum", "of an earlier release"])
@pytest.mark.parametrize("table", ["records", "documents"])
def test_bytes_that_are_no_text_damage_their_row_and_no_other(home, table, known):
    """One flipped bit can make them: SQLite's own reading then fails as a whole, on every page."""
    connection = sqlite3.connect(database(home, table))
    if not known:
        connection.execute("UPDATE Cache SET value = substr(value, instr(value, char(10)) + 1)")
    key = key_of(0) if table == "records" else f"result-{key_of(0)}"
    changed = connection.execute("UPDATE Cache SET value = replace(value, 'spec', CAST(x'FF7065FE' AS TEXT)) WHERE key = ?", (key,))
    assert changed.rowcount == 1
    connection.commit()
    connection.close()
    store = Store(home)
    assert (store.record(key_of(0)) if table == "records" else store.result(key_of(0))) is None
    assert store.record(key_of(8)) == record_of(8, submitted=8.0, error="why " * 200)
    assert len(store.runs(limit=1000)) == 400 - (table == "records")
    assert len(list(store.documents("result-"))) == 1
    (told,) = store.damage()
    assert told.startswith("1 stored entry does not hold what was written")


def test_a_database_without_its_head_is_told_with_what_to_do(home):
    for table in ("records", "documents"):
        checkpoint(home, table)
    file = database(home, "documents")
    file.write_bytes(bytes(4096) + file.read_bytes()[4096:])
    with pytest.raises(BadInput, match=r"nothing of it can be read .*keep a copy of .*documents; then put that folder back from a backup"):
        Store(home)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_bad_page_keeps_what_can_be_read_and_says_what_to_do(home, place):
    file = database(home, "records")
    size = 4096
    page = int(file.stat().st_size / size * place)
    with file.open("r+b") as raw:
        raw.seek(page * size)
        raw.write(b"\xff" * size)
    store = Store(home)
    runs = store.runs(limit=1000)
    assert all(run == record_of(int(run.submitted), submitted=run.submitted, error="why " * 200) for run in runs)
    assert runs, "the rows on other pages are there"
    told = " ".join(store.damage())
    assert str(file) in told or "stored entr" in told
    assert "backup" in told or "Start the runs again" in told
    assert store.result(key_of(0)) == result_of(), "the other database is whole"


def test_a_file_that_is_cut_off_ends_in_words(home):
    file = database(home, "documents")
    with file.open("r+b") as raw:
        raw.truncate(file.stat().st_size // 2 // 4096 * 4096)
    try:
        told = " ".join(Store(home).damage())
    except BadInput as error:
        told = str(error)
    assert "PRUNESCOPE_HOME" in told or "is damaged" in told


@pytest.mark.parametrize("how", ["emptied", "removed"])
def test_an_emptied_database_is_no_empty_store(home, how):
    file = database(home, "records")
    if how == "emptied":
        file.write_bytes(b"")
    else:
        file.unlink()
    with pytest.raises(BadInput, match=r"runs were kept in it\. Put the folder .* back from a backup; or remove that folder"):
        Store(home)


def test_emptied_rows_are_told_while_results_are_there(home):
    connection = sqlite3.connect(database(home, "records"))
    connection.execute("DELETE FROM Cache")
    connection.commit()
    connection.close()
    assert "emptied outside PruneScope" in " ".join(Store(home).damage())


def test_what_is_written_to_a_damaged_file_is_not_lost_in_silence(home):
    store = Store(home)
    with database(home, "records").open("r+b") as raw:
        raw.seek(4096)
        raw.write(b"\xff" * (database(home, "records").stat().st_size - 4096))
    with pytest.raises(DamagedStore, match=r"is damaged .* Stop PruneScope"):  # noqa: PT012 - which row meets the damage is up to SQLite
        for index in range(400):
            store.put_record(record_of(1000 + index))


def test_rows_of_the_release_before_are_read(home):
    """They have no checksum."""
    text = record_of("old", submitted=3.0).model_dump_json()
    connection = sqlite3.connect(database(home, "records"))
    connection.execute("UPDATE Cache SET value = ? WHERE key = ?", (text.replace(key_of("old"), key_of(3)), key_of(3)))
    connection.commit()
    connection.close()
    store = Store(home)
    assert store.record(key_of(3)) == record_of("old", submitted=3.0).model_copy(update={"key": key_of(3)})
    assert store.damage() == ()


def test_a_flipped_record_of_a_block_is_no_block(tmp_path):
    files = TensorFiles(tmp_path / "blocks", LayerRecord)
    record = layer_record()
    files.write(0, {}, record)
    assert files.read(0) == ({}, record)
    (text_file,) = (tmp_path / "blocks").glob("*.json")
    text = text_file.read_text()
    for place in range(0, len(text), 7):
        text_file.write_text(text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1:])
        assert files.read(0) is None, f"a flipped bit at {place} of {text!r}"
