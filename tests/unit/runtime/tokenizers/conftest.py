import pytest
from small_bert import Both, describe


@pytest.fixture(scope="session")
def uncased(tmp_path_factory):
    return Both(tmp_path_factory.mktemp("uncased"), describe())


@pytest.fixture(scope="session")
def cased(tmp_path_factory):
    return Both(tmp_path_factory.mktemp("cased"), describe(lowercase=False))


@pytest.fixture(scope="session")
def odd(tmp_path_factory):
    """Accents stripped but case kept, no spaces around Chinese characters, BertProcessing."""
    described = describe(lowercase=False, strip_accents=True, handle_chinese_chars=False)
    vocab = described["model"]["vocab"]
    described["post_processor"] = {
        "type": "BertProcessing",
        "cls": ["[CLS]", vocab["[CLS]"]],
        "sep": ["[SEP]", vocab["[SEP]"]],
    }
    return Both(tmp_path_factory.mktemp("odd"), described)
