"""No password is shown, however the URL is written."""

import pytest

from faas.doctor.database_url import shown_url, without_password

PASSWORD = "s3cret"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://app:{PASSWORD}@db.example:6543/faas", "app@db.example:6543/faas"),
        (f"postgresql://app:a{PASSWORD}%2F@db/faas?sslmode=require", "app@db/faas"),
        ("postgresql://faas@/faas?host=%2Frun%2Fpg", "faas@/run/pg/faas"),
        (f"postgresql://db/faas?user=app&password={PASSWORD}", "db/faas"),
        ("postgresql://db", "db"),
    ],
)
def test_shown_url_names_the_server(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:12/{PASSWORD}@db/faas",
        f"postgresql://app:12?{PASSWORD}@db/faas",
        f"postgresql://app:12#{PASSWORD}@db/faas",
        f"postgresql://app:{PASSWORD}/x@db/faas",
        f"postgresql://app:[{PASSWORD}@db/faas",
        f"app:{PASSWORD}@db/faas",
        f"//app:{PASSWORD}@db/faas",
        PASSWORD,
    ],
)
def test_shown_url_of_a_malformed_one_is_not_quoted(url: str) -> None:
    assert PASSWORD not in shown_url(url)


def test_without_password_masks_each_form() -> None:
    url = "postgresql://app:a%2Fb@db/faas?password=other"
    assert without_password("a/b, a%2Fb and other", url) == "***, *** and ***"
    assert without_password("nothing to mask", "postgresql://app@db/faas") == "nothing to mask"
