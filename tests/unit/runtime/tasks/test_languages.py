import pytest

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import languages

NLLB = {
    code: code
    for code in (
        "eng_Latn",
        "fra_Latn",
        "zho_Hans",
        "zho_Hant",
        "arb_Arab",
        "srp_Cyrl",
        "nob_Latn",
        "nno_Latn",
        "por_Latn",
        "als_Latn",
    )
}
MBART = {code: code for code in ("en_XX", "fr_XX", "zh_CN", "pt_XX", "he_IL")}
M2M = {code: f"__{code}__" for code in ("en", "fr", "zh", "iw", "ast")}
MARIAN = {code: f">>{code}<<" for code in ("fra", "spa")}


@pytest.mark.parametrize(
    ("known", "asked", "code"),
    [
        (NLLB, "eng_Latn", "eng_Latn"),
        (NLLB, "en", "eng_Latn"),
        (NLLB, "ENG", "eng_Latn"),
        (NLLB, "fre", "fra_Latn"),
        (NLLB, "en-US", "eng_Latn"),
        (NLLB, "en_XX", "eng_Latn"),
        (NLLB, "zh-CN", "zho_Hans"),
        (NLLB, "zh_TW", "zho_Hant"),
        (NLLB, "ar", "arb_Arab"),
        (NLLB, "no", "nob_Latn"),
        (NLLB, "pt_BR", "por_Latn"),
        (NLLB, "sq", "als_Latn"),
        (MBART, "en", "en_XX"),
        (MBART, "zho_Hans", "zh_CN"),
        (MBART, "iw", "he_IL"),
        (M2M, "__fr__", "fr"),
        (M2M, "fra_Latn", "fr"),
        (M2M, "he", "iw"),
        (M2M, "ast", "ast"),
        (MARIAN, "es", "spa"),
        (MARIAN, ">>fra<<", "fra"),
    ],
)
def test_common_codes(known: dict[str, str], asked: str, code: str) -> None:
    assert languages.find("src_lang", asked, known) == code


@pytest.mark.parametrize(
    ("known", "asked", "message", "hint"),
    [
        (NLLB, "zh", "may be zho_Hans or zho_Hant", "name one of them"),
        (NLLB, "frz", "'frz', which this model does not have", "near: fra_Latn"),
        (NLLB, "srp_Latn", "'srp_Latn', which this model does not have", "near: srp_Cyrl"),
        (M2M, "tlh", "'tlh', which this model does not have", "near: ast, en, fr, iw, zh"),
        (M2M, "", "'', which", "near"),
    ],
)
def test_codes_that_are_not_the_models(known: dict[str, str], asked: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=message) as raised:
        languages.find("tgt_lang", asked, known)
    assert hint in str(raised.value.hint)


def test_every_code_of_a_model_means_itself() -> None:
    for known in (NLLB, MBART, M2M, MARIAN):
        assert {languages.find("src_lang", code, known) for code in known} == set(known)
        assert {languages.find("src_lang", token, known) for token in known.values()} == set(known)


@pytest.mark.parametrize(
    ("asked", "own", "alike"),
    [
        ("en_XX", "en", True),
        ("eng_Latn", "en", True),
        ("en", "eng_Latn", True),
        ("de_DE", "en", False),
        ("", "en", False),
    ],
)
def test_codes_of_one_language(asked: str, own: str, alike: bool) -> None:
    assert languages.same(asked, own) is alike


def test_a_long_list_is_shortened() -> None:
    assert languages.listed(f"l{number:02}" for number in range(20)).endswith("l11 and 8 more")
