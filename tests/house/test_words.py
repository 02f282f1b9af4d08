"""The code speaks the field's language: no private word as a name or in a sentence, one meaning per word."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.house.source import ROOT, classes, files_of_tests, product_files, tree

# Private words, and what to say instead.
WORDS = {
    "found": "result, rows, scores, matches",
    "asked": "queried",
    "raised": "boosted",
    "place": "position, index, folder",
    "places": "positions, indices, folders",
    "part": "split, batch, micro-batch, segment",
    "parts": "splits, batches, segments",
    "ahead": "prefetch",
    "kinds": "types, registry",
    "ordered": "sorted, in order",
    "contained": "isolated",
    "trend": "popularity boost",
    "told": "said, described",
}
NAMES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# "raised" and "found" are English as well: an error is raised, a file is not found. As names they are not.
KEPT = {"redrec/bundle/manifest.py": {"trend"}}  # a key of the bundle's id, which a new name would change
ONLY_AS_NAMES = {"found", "raised", "place", "part", "parts", "ordered", "contained"}


def words_of(name: str) -> Iterator[str]:
    """Yield the words of a name, small.

    >>> list(words_of("is_asked_BG")), list(words_of("RaisedItems"))
    (['is', 'asked', 'bg'], ['raised', 'items'])
    """
    yield from (word.lower() for word in NAMES.findall(name))


def names_in(path: str) -> Iterator[tuple[int, str]]:
    """Yield each name that the file defines or uses for itself: no attribute or keyword of a library is meant."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def sentences_in(path: str) -> Iterator[tuple[int, str]]:
    """Yield the file's comments and texts with their lines."""
    source = (ROOT / path).read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.start[0], token.string


@pytest.mark.parametrize("path", [*product_files(), *(p for p in files_of_tests() if not p.startswith("tests/house"))])
def test_no_name_is_a_private_word(path: str):
    bad = [
        f"{path}:{line}: {name}; say {WORDS[word]}"
        for line, name in names_in(path)
        for word in words_of(name)
        if word in WORDS and not name.startswith("test_")
    ]
    assert bad == []


@pytest.mark.parametrize("path", product_files())
def test_no_sentence_has_a_private_word(path: str):
    bad = []
    for line, text in sentences_in(path):
        for word in re.findall(r"[a-z]+", text.lower()):
            if word in WORDS and word not in ONLY_AS_NAMES | KEPT.get(path, set()):
                bad.append(f"{path}:{line}: {word}; say {WORDS[word]}")
    assert bad == []


READ_FIRST = ["README.md", "Makefile", *map(str, [*ROOT.glob("docs/*.md"), *(ROOT / "helm").rglob("*.yaml")])]


@pytest.mark.parametrize("path", sorted(READ_FIRST))
def test_no_private_word_in_what_people_read_first(path: str):
    text = (ROOT / path).read_text(encoding="utf-8").lower()
    assert [word for word in WORDS if word not in ONLY_AS_NAMES and re.search(rf"\b{word}\b", text)] == []


def test_no_two_classes_have_the_same_name():
    files = defaultdict(list)
    for path, node in classes():
        files[node.name].append(path)
    assert {name: paths for name, paths in files.items() if len(paths) > 1} == {}
