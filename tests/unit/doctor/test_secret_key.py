"""The key that seals secrets, beside the secrets of the database."""

from pathlib import Path

from faas.doctor.secret_key import check, judge_secrets
from faas.secret_store.key_file import make_key
from faas.secret_store.queries import KeyRow
from faas.settings import Settings

OTHER = KeyRow(key_id="0" * 16, secrets=3)


def test_secret_key_that_is_not_there_yet_is_ok(tmp_path: Path) -> None:
    (finding,) = check(Settings(data_dir=tmp_path))
    assert (finding.check, finding.status) == ("secret-key", "OK")
    assert finding.finding == f"{tmp_path}/secret.key is made when the first secret is set"


def test_secret_key_is_named(tmp_path: Path) -> None:
    key = make_key(tmp_path / "other.key")
    (finding,) = check(Settings(data_dir=tmp_path, secret_key_file=tmp_path / "other.key"))
    assert (finding.status, finding.finding) == (
        "OK",
        f"{tmp_path}/other.key has the key {key.id}; backups do not hold it",
    )


def test_secret_key_that_others_may_read_fails(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    make_key(settings.secret_key_path)
    settings.secret_key_path.chmod(0o644)
    (finding,) = check(settings)
    assert finding.status == "FAIL"
    assert "FAAS_SECRET_KEY_FILE has the mode 0644" in finding.finding
    (finding,) = judge_secrets([OTHER], settings)
    assert (finding.check, finding.status) == ("secrets", "WARN")


def test_secrets_of_another_key_are_a_warning(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (finding,) = judge_secrets([OTHER], settings)
    assert (finding.check, finding.status) == ("secrets", "WARN")
    assert finding.finding.startswith("secrets are sealed: 3 under the key 0000000000000000; FAAS_SECRET_KEY_FILE is")
    key = make_key(settings.secret_key_path)
    (finding,) = judge_secrets([OTHER, KeyRow(key_id=key.id, secrets=2)], settings)
    assert finding.finding.startswith("secrets are sealed: 3 under the key 0000000000000000; FAAS_SECRET_KEY_FILE has")
    (finding,) = judge_secrets([KeyRow(key_id=key.id, secrets=2)], settings)
    assert (finding.status, finding.finding) == ("OK", "2, all sealed under the key of this server")


def test_secrets_do_not_concern_a_compiler_or_a_database_without_any(tmp_path: Path) -> None:
    compiler = Settings(data_dir=tmp_path, role="compiler")
    assert list(check(compiler)) == list(judge_secrets([OTHER], compiler)) == []
    assert list(judge_secrets([], Settings(data_dir=tmp_path))) == []
