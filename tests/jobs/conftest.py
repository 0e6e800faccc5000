from tests.store.conftest import journal, server, url

__all__ = ["journal", "server", "url"]
