"""Codes of languages: which of a model's own codes is meant by a common one.

Models name languages as they were trained to: ``en`` (Marian, T5), ``__en__`` (M2M100), ``en_XX`` (mBART),
``eng_Latn`` (NLLB). Two codes mean the same language when their first parts are the same by ISO 639; what follows
tells scripts and regions apart where a model has several.
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ISO = (
    "aa:aar ab:abk af:afr ak:aka am:amh an:arg ar:ara,arb as:asm av:ava ay:aym,ayr az:aze,azj ba:bak be:bel bg:bul "
    "bi:bis bm:bam bn:ben bo:bod,tib br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces,cze cu:chu cv:chv "
    "cy:cym,wel da:dan de:deu,ger dv:div dz:dzo ee:ewe el:ell,gre en:eng eo:epo es:spa et:est,ekk eu:eus,baq "
    "fa:fas,pes,per ff:ful,fuv fi:fin fj:fij fo:fao fr:fra,fre fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv "
    "ha:hau he:heb,iw hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye,arm hz:her ia:ina id:ind,in ie:ile ig:ibo ii:iii "
    "ik:ipk io:ido is:isl,ice it:ita iu:iku ja:jpn jv:jav ka:kat,geo kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm "
    "kn:kan ko:kor kr:kau,knc ks:kas ku:kur,kmr kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao "
    "lt:lit lu:lub lv:lav,lvs mg:mlg,plt mh:mah mi:mri,mao mk:mkd,mac ml:mal mn:mon,khk mr:mar ms:msa,zsm,may "
    "mt:mlt my:mya,bur na:nau nb:nob nd:nde ne:nep,npi ng:ndo nl:nld,dut nn:nno no:nor,nob nr:nbl nv:nav ny:nya "
    "oc:oci oj:oji om:orm,gaz or:ori,ory os:oss pa:pan pi:pli pl:pol ps:pus,pbt pt:por qu:que,quy rm:roh rn:run "
    "ro:ron,rum ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin sk:slk,slo sl:slv sm:smo sn:sna so:som "
    "sq:sqi,als,alb sr:srp ss:ssw st:sot su:sun sv:swe sw:swa,swh ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl "
    "tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb,uzn ve:ven vi:vie vo:vol wa:wln "
    "wo:wol xh:xho yi:yid,ydd yo:yor za:zha zh:zho,cmn,chi zu:zul"
)
"""ISO 639-1 to 639-3, with the member of a macrolanguage that models mean by it, 639-2 names and retired codes."""

_SCRIPTS = {"cn": "hans", "sg": "hans", "tw": "hant", "hk": "hant", "mo": "hant"}
"""The script that is written in a region, where a language has several (Chinese)."""

_SHOWN = 12
_known: dict[str, frozenset[str]] = {}


def same(asked: str, own: str) -> bool:
    """Whether two codes mean one language: ``en`` is ``en_XX``, ``eng_Latn`` and ``EN-gb``."""
    return _plain(own).split("_")[0] in _bases(asked)


def find(name: str, asked: str, known: Mapping[str, str]) -> str:
    """A model's own code for what a request calls a language.

    Args:
        name: the parameter, for messages.
        asked: a code of the model, one of its tokens, or a common code where only one of the model's is meant.
        known: the model's codes and their tokens.

    Raises:
        InvalidInput: the model has no such language, or several; the ones that are near are listed.
    """
    if asked in known:
        return asked
    plain = _plain(asked)
    for code, token in known.items():
        if plain in (_plain(code), _plain(token)):
            return code
    meant = [code for code in known if same(asked, code)]
    exact = [code for code in meant if _fits(_rest(asked), _rest(code))]
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise InvalidInput(
            f"parameter {name!r} is {asked!r}, which may be {' or '.join(exact)}", "name one of them"
        )
    message = f"parameter {name!r} is {asked!r}, which this model does not have"
    raise InvalidInput(message, f"near: {', '.join(meant or _near(asked, known))}")


def listed(known: Iterable[str]) -> str:
    """Some codes of a model for a message."""
    codes = sorted(known)
    more = f" and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else ""
    return ", ".join(codes[:_SHOWN]) + more


def _plain(code: str) -> str:
    return code.strip("_<>").replace("-", "_").lower()


def _rest(code: str) -> frozenset[str]:
    """Scripts and regions of a code, without the ``XX`` of mBART that stands for any."""
    parts = _plain(code).split("_")[1:]
    return frozenset(_SCRIPTS.get(part, part) for part in parts if part != "xx")


def _fits(asked: frozenset[str], own: frozenset[str]) -> bool:
    """Whether a code's script is the one asked for; a region that the model does not tell apart does no harm."""
    wanted = {part for part in asked if len(part) == 4}
    has = {part for part in own if len(part) == 4}
    return not wanted or not has or wanted == has


def _bases(code: str) -> frozenset[str]:
    """The codes by which ISO 639 knows a language."""
    if not _known:
        for entry in _ISO.split():
            short, _, longer = entry.partition(":")
            codes = {short, *longer.split(",")}
            for one in codes:
                _known[one] = _known.get(one, frozenset()) | codes
    base = _plain(code).split("_")[0]
    return _known.get(base, frozenset((base,)))


def _near(asked: str, known: Iterable[str]) -> list[str]:
    from difflib import get_close_matches  # only for a message

    codes = sorted(known)
    first = {code: _plain(code).split("_")[0] for code in codes}
    near = get_close_matches(_plain(asked).split("_")[0], set(first.values()), 5, 0.6)
    return [code for code in codes if first[code] in near] or [listed(codes)]
