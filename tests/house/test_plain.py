"""Code is read more often than written: no line packs what a loop or a named function would show."""

import ast

import pytest

from tests.house.source import product_files, tree

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def clever_lines(module: ast.AST) -> list[str]:
    """Return what stops a reader, with its line.

    >>> clever_lines(ast.parse("[x for y in z for x in y]"))
    ['1: a second `for` in a comprehension']
    >>> clever_lines(ast.parse("while (line := read()): pass"))
    ['1: an assignment in the header of a loop']
    """
    lines = []
    for node in ast.walk(module):
        if isinstance(node, COMPREHENSIONS):
            inner = [child for child in ast.walk(node) if child is not node and isinstance(child, COMPREHENSIONS)]
            if len(node.generators) > 1:
                lines.append(f"{node.lineno}: a second `for` in a comprehension")
            if inner:
                lines.append(f"{node.lineno}: a comprehension inside another")
        if isinstance(node, ast.While | ast.For):
            header = node.test if isinstance(node, ast.While) else node.iter
            if any(isinstance(child, ast.NamedExpr) for child in ast.walk(header)):
                lines.append(f"{node.lineno}: an assignment in the header of a loop")
        conditions = [child for child in ast.walk(node) if isinstance(child, ast.IfExp | ast.BoolOp)]
        if isinstance(node, ast.Lambda) and conditions:
            lines.append(f"{node.lineno}: a lambda with a condition")
    return lines


@pytest.mark.parametrize("path", product_files())
def test_no_line_is_clever(path: str):
    assert clever_lines(tree(path)) == []


def test_what_is_clever_is_seen():
    assert clever_lines(ast.parse("{a: [b for b in a] for a in c}")) == ["1: a comprehension inside another"]
    assert clever_lines(ast.parse("f = lambda x: x or 1")) == ["1: a lambda with a condition"]
    assert clever_lines(ast.parse("[f(x) for x in y if x]")) == []
