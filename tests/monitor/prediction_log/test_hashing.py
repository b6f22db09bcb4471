"""The key of the hashes is made once and kept secret; the audit draws at its rate."""

import stat
import subprocess
import sys

import pytest

from linnet.errors import UsageError
from linnet.monitor import new_id
from linnet.monitor.prediction_log.hashing import KeyedHash, audited, hash_key_file, read_hash_key

HASH = KeyedHash(b"k" * 32)


@pytest.mark.parametrize("text", ["", "a", "\ud800\0", "🐦" * 100_000])
def test_a_hash_is_a_number_of_64_bits_that_needs_the_key(text):
    assert -(2**63) <= HASH(text) < 2**63 and HASH(text) != 0
    assert HASH(text) == HASH(text) != KeyedHash(b"l" * 32)(text)
    assert HASH(text) != HASH(text + "a")


def test_a_hash_is_the_keyed_blake2b_of_the_standard():
    from hashlib import blake2b

    digest = blake2b(b"text", digest_size=8, key=b"k" * 32).digest()
    assert HASH("text") == int.from_bytes(digest, "big", signed=True)


def test_the_audit_draws_at_its_rate():
    ids = [f"{new_id()}-0" for _ in range(20_000)]
    drawn = [one for one in ids if audited(one, 0.1)]
    assert 1800 < len(drawn) < 2200  # 5 standard deviations
    assert set(drawn) <= {one for one in ids if audited(one, 0.2)}
    assert not any(audited(one, 0.0) for one in ids) and all(audited(one, 1.0) for one in ids)


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "new" / "log.db.key"
    key = read_hash_key(path)
    assert len(key) == 32 and read_hash_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


CODE = """
import sys
from pathlib import Path
from linnet.monitor.prediction_log.hashing import read_hash_key
print(read_hash_key(Path(sys.argv[1])).hex())
"""


def test_processes_that_begin_at_once_have_one_key(tmp_path):
    command = [sys.executable, "-c", CODE, str(tmp_path / "key")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert len({process.communicate(timeout=120)[0] for process in started}) == 1
    assert [process.returncode for process in started] == [0] * 4


def test_a_file_that_is_no_secret_key_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"short")
    with pytest.raises(UsageError, match="Expected 32 bytes"):
        read_hash_key(path)
    path.write_bytes(bytes(32))
    path.chmod(0o644)
    with pytest.raises(UsageError, match=r"Others may read the key file .* chmod 600"):
        read_hash_key(path)
    with pytest.raises(UsageError, match="can't be read: Is a directory"):
        read_hash_key(tmp_path)


def test_the_key_is_next_to_the_log_unless_a_setting_names_it(tmp_path):
    assert str(hash_key_file("sqlite:///a/log.db", "")) == "a/log.db.key"
    assert str(hash_key_file("log.db", "")) == "log.db.key"
    assert str(hash_key_file("postgresql://u@h/d", "")) == "prediction_log.key"
    assert str(hash_key_file("log.db", "/secrets/key")) == "/secrets/key"


def test_without_a_key_predictions_are_recorded_all_the_same(
    tmp_path, open_log, make_record, caplog
):
    key = tmp_path / "open.key"
    key.write_bytes(bytes(32))
    key.chmod(0o666)
    log = open_log(tmp_path / "log.db", hash_key_file=str(key))
    assert log.hash("text") is None and "chmod 600" in caplog.text
    log.record([make_record(0)])
    log.close()
    assert log.status().written == 1
