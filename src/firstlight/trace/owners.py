"""Who drops what where, and which environment variable moves it.

The clean folders of a traced run are called ``home`` (HOME), ``cache`` (XDG_CACHE_HOME), ``data`` (XDG_DATA_HOME),
``config`` (XDG_CONFIG_HOME), ``state`` (XDG_STATE_HOME) and ``tmp`` (TMPDIR). They are all different, so that where a
file lies says which of the variables its library obeys. Paths in this table begin with one of these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

FALLBACK = {
    "home": "HOME",
    "cache": "XDG_CACHE_HOME",
    "data": "XDG_DATA_HOME",
    "config": "XDG_CONFIG_HOME",
    "state": "XDG_STATE_HOME",
    "tmp": "TMPDIR",
}
"""Folder of a run -> the variable that leads there: "XDG Base Directory Specification" and POSIX."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A library and what it is known to drop.

    Attributes:
        name: as its users call it.
        folders: patterns of what it drops, one for each place it may choose.
        variable: leads the library to its folder (to the folder around it where ``around``); empty: there is none.
        source: where that is documented.
        around: the variable names the folder around it.
        packed: whether the layer holds it; False where it is made anew, or is of no use elsewhere.
        settings: variables that are set to fixed values when this owner is met.
        offline: settings for when the network is cut.
        note: what is worth knowing.
    """

    name: str
    folders: tuple[str, ...]
    variable: str
    source: str
    around: bool = False
    packed: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    offline: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def _cached(name: str) -> tuple[str, ...]:
    """A folder in XDG_CACHE_HOME, and in ~/.cache for those who do not ask for it."""
    return (f"cache/{name}", f"home/.cache/{name}")


_HUB = "https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables"

OWNERS = (
    Owner(
        "sentence-transformers",
        _cached("torch/sentence_transformers"),
        "SENTENCE_TRANSFORMERS_HOME",
        "https://sbert.net/docs/package_reference/sentence_transformer/SentenceTransformer.html (cache_folder)",
        note="newer versions use the Hugging Face hub's folder",
    ),
    Owner(
        "Hugging Face datasets",
        (*_cached("huggingface/datasets"), *_cached("huggingface/metrics")),
        "HF_HOME",
        "https://huggingface.co/docs/datasets/cache",
        around=True,
        offline={"HF_DATASETS_OFFLINE": "1"},
        note="it locks the files it reads, so it is given links to them",
    ),
    Owner(
        "transformers",
        (*_cached("huggingface/modules"), *_cached("huggingface/transformers")),
        "HF_HOME",
        "https://huggingface.co/docs/transformers/installation#cache-directory",
        around=True,
        note="code that trust_remote_code allowed",
    ),
    Owner(
        "Hugging Face hub",
        _cached("huggingface"),
        "HF_HOME",
        _HUB,
        offline={"HF_HUB_OFFLINE": "1"},
        note="of transformers, sentence-transformers and all that fetch through huggingface_hub; tokens are left out",
    ),
    Owner(
        "torch hub",
        _cached("torch"),
        "TORCH_HOME",
        "https://docs.pytorch.org/docs/stable/hub.html#where-are-my-downloaded-models-saved",
    ),
    Owner("NLTK", ("home/nltk_data",), "NLTK_DATA", "https://www.nltk.org/data.html"),
    Owner(
        "gensim",
        ("home/gensim-data",),
        "GENSIM_DATA_DIR",
        "https://radimrehurek.com/gensim/downloader.html (gensim/downloader.py, BASE_DIR)",
    ),
    Owner(
        "tiktoken",
        ("tmp/data-gym-cache",),
        "TIKTOKEN_CACHE_DIR",
        "https://github.com/openai/tiktoken/blob/main/tiktoken/load.py (read_file_cached)",
    ),
    Owner(
        "spaCy",
        ("cache/spacy*", "home/.cache/spacy*", "data/spacy*"),
        "",
        "https://spacy.io/usage/models",
        note="its models are packages: name them in the requirements",
    ),
    Owner(
        "matplotlib",
        (*_cached("matplotlib"), "config/matplotlib", "home/.config/matplotlib", "tmp/matplotlib-*"),
        "MPLCONFIGDIR",
        "https://matplotlib.org/stable/install/environment_variables_faq.html",
        packed=False,
        settings={"MPLCONFIGDIR": "/tmp/matplotlib"},  # noqa: S108 - the one place that can be written
        note="it uses only a folder that it can write, so it gets one",
    ),
    Owner(
        "TensorFlow Hub",
        ("tmp/tfhub_modules", *_cached("tfhub_modules")),
        "TFHUB_CACHE_DIR",
        "https://www.tensorflow.org/hub/caching",
    ),
    Owner(
        "TensorFlow Datasets",
        ("home/tensorflow_datasets",),
        "TFDS_DATA_DIR",
        "https://www.tensorflow.org/datasets/overview",
    ),
    Owner(
        "Keras",
        ("home/.keras", "tmp/.keras"),
        "KERAS_HOME",
        "https://github.com/keras-team/keras/blob/master/keras/src/backend/config.py (KERAS_HOME)",
        note="get_file passes over a folder that it cannot write, so it is given links",
    ),
    Owner(
        "scikit-learn",
        ("home/scikit_learn_data",),
        "SCIKIT_LEARN_DATA",
        "https://scikit-learn.org/stable/modules/generated/sklearn.datasets.get_data_home.html",
    ),
    Owner(
        "jieba",
        ("tmp/jieba.cache", "tmp/jieba.*.cache"),
        "",
        "https://github.com/fxsjy/jieba/blob/master/jieba/__init__.py (Tokenizer.initialize)",
        packed=False,
        note="made from its own dictionary at every start; assign Tokenizer.tmp_dir to keep one",
    ),
    Owner(
        "Stanza",
        ("home/stanza_resources", *_cached("stanza")),
        "STANZA_RESOURCES_DIR",
        "https://stanfordnlp.github.io/stanza/download_models.html",
    ),
    Owner(
        "Flair",
        ("home/.flair",),
        "FLAIR_CACHE_ROOT",
        "https://github.com/flairNLP/flair/blob/master/flair/__init__.py (cache_root)",
    ),
    Owner(
        "EasyOCR",
        ("home/.EasyOCR",),
        "EASYOCR_MODULE_PATH",
        "https://github.com/JaidedAI/EasyOCR/blob/master/easyocr/config.py (MODULE_PATH)",
    ),
    Owner(
        "Numba",
        (*_cached("numba"),),
        "NUMBA_CACHE_DIR",
        "https://numba.readthedocs.io/en/stable/reference/envvars.html",
        packed=False,
        settings={"NUMBA_CACHE_DIR": "/tmp/numba"},  # noqa: S108
        note="machine code of this CPU",
    ),
    Owner(
        "Triton",
        ("home/.triton",),
        "TRITON_CACHE_DIR",
        "https://triton-lang.org/main/programming-guide/chapter-3/debugging.html",
        packed=False,
        settings={"TRITON_CACHE_DIR": "/tmp/triton"},  # noqa: S108
        note="machine code of this device",
    ),
    Owner(
        "fontconfig",
        (*_cached("fontconfig"), "home/.fontconfig"),
        "XDG_CACHE_HOME",
        "https://www.freedesktop.org/software/fontconfig/fontconfig-user.html",
        around=True,
        packed=False,
        note="a list of this machine's fonts",
    ),
    Owner(
        "Whisper",
        ("cache/whisper",),
        "XDG_CACHE_HOME",
        "https://github.com/openai/whisper/blob/main/whisper/__init__.py (load_model, download_root)",
        around=True,
    ),
    Owner(
        "FastEmbed",
        ("tmp/fastembed_cache",),
        "FASTEMBED_CACHE_PATH",
        "https://github.com/qdrant/fastembed/blob/main/fastembed/common/utils.py (define_cache_dir)",
    ),
    Owner(
        "kagglehub",
        _cached("kagglehub"),
        "KAGGLEHUB_CACHE",
        "https://github.com/Kaggle/kagglehub#option-3-change-default-cache-folder",
    ),
    Owner(
        "ModelScope",
        _cached("modelscope"),
        "MODELSCOPE_CACHE",
        "https://www.modelscope.cn/docs/models/download",
    ),
    Owner(
        "pip",
        _cached("pip"),
        "PIP_CACHE_DIR",
        "https://pip.pypa.io/en/stable/topics/caching/",
        packed=False,
        note="packages belong into the requirements",
    ),
)
"""The first that matches wins, so a folder inside another's comes before it."""


def owner_of(path: str) -> tuple[Owner, str] | None:
    """Whose a file is, and the folder (or file) of that library it belongs to; None for a library that is not known.

    Args:
        path: in the clean folders, such as ``home/nltk_data/corpora/words``.
    """
    parts = path.split("/")
    for owner in OWNERS:
        for pattern in owner.folders:
            depth = pattern.count("/") + 1
            head = "/".join(parts[:depth])
            if len(parts) >= depth and fnmatchcase(head, pattern):
                return owner, head
    return None


def value_of(owner: Owner, folder: str) -> str:
    """What the owner's variable has to be, as a path in the layer."""
    return folder.rpartition("/")[0] if owner.around else folder
