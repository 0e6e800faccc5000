"""Where files are fetched from, and where not."""

import pytest

from gateway.downloads import allowed, anywhere, public
from gateway.snapshot import Account
from providers.auth import API_KEY
from providers.base import Adapter, Fault

ADAPTER = Adapter("v", "s", "", {}, {})


def account(base_url: str) -> Account:
    return Account("a", "v", "cn-mainland", ADAPTER, base_url, API_KEY, {})


VENDOR = account("https://api.vendor.test/v1")
HOME = account("http://10.0.0.5:8000/v1")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://files.vendor.test/a.png?Expires=1", "https://files.vendor.test/a.png?Expires=1"),
        ("http://bucket.oss.test/a.png?Signature=x%2F", "https://bucket.oss.test/a.png?Signature=x%2F"),
        ("https://8.8.8.8/a.png", "https://8.8.8.8/a.png"),
        ("http://8.8.8.8:80/a", "https://8.8.8.8/a"),
        ("http://[2001:4860:4860::8888]/a", "https://[2001:4860:4860::8888]/a"),
    ],
)
def test_a_public_place_is_asked_over_https_and_what_it_resolves_to_is_looked_at(url: str, where: str) -> None:
    assert allowed(url, VENDOR) == (where, public)


def test_the_accounts_own_host_is_where_its_operator_says() -> None:
    assert allowed("http://10.0.0.5:8000/files/a.png", HOME) == ("http://10.0.0.5:8000/files/a.png", anywhere)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.5:8001/a", "http://127.0.0.1/a", "https://127.0.0.1/a", "https://[::1]/a", "https://[::ffff:10.0.0.1]/a",
        "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/a", "https://0.0.0.0/a", "https://224.0.0.1/a", "file:///etc/passwd",
        "ftp://files.test/a", "//files.test/a", "https:///a", "https://user:pass@files.test/a", "https://files.test:6379/a", "gopher://x",
        "https://[fe80::1%25eth0]/a", "http://[bad", "", "data:image/png;base64,AAAA", "https://10.0.0.5:8000/a",
    ],
)  # fmt: skip
@pytest.mark.parametrize("of", [VENDOR, HOME], ids=["vendor", "home"])
def test_no_other_place_is_asked(url: str, of: Account) -> None:
    with pytest.raises(Fault, match="place that is not asked"):
        allowed(url, of)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.0.1", "127.0.0.1", "::1", "fd00::1", "fe80::1%eth0", "169.254.0.1", "::ffff:127.0.0.1"]
)
def test_a_name_that_stands_for_a_private_address_is_not_asked(address: str) -> None:
    with pytest.raises(Fault, match="place that is not asked"):
        public(address)


def test_a_public_address_may_be_asked() -> None:
    public("8.8.8.8")
    public("2001:4860:4860::8888")
