"""The structure that the import contracts of pyproject.toml cannot say: no circle of files, in either package."""

import pytest

grimp = pytest.importorskip("grimp")


def circles(graph) -> list[list[str]]:
    """The strongly connected components of more than one file (Kosaraju's two passes)."""
    modules = sorted(graph.modules)
    order: list[str] = []
    seen: set[str] = set()
    for root in modules:
        stack = [(root, iter(sorted(graph.find_modules_directly_imported_by(root))))]
        if root in seen:
            continue
        seen.add(root)
        while stack:
            module, imported = stack[-1]
            following = next((m for m in imported if m not in seen), None)
            if following is None:
                order.append(module)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(graph.find_modules_directly_imported_by(following)))))
    found, taken = [], set()
    for root in reversed(order):
        if root in taken:
            continue
        component, stack = [], [root]
        taken.add(root)
        while stack:
            module = stack.pop()
            component.append(module)
            for importer in graph.find_modules_that_directly_import(module):
                if importer not in taken:
                    taken.add(importer)
                    stack.append(importer)
        if len(component) > 1:
            found.append(sorted(component))
    return found


def test_a_circle_is_found():
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert circles(graph) == [["a", "b", "c"]]


def test_no_circle_of_files():
    # What only a type checker reads is left out: it runs nothing, as in the import contracts.
    graph = grimp.build_graph("conntra_neuro", "conntra_hardware", exclude_type_checking_imports=True, cache_dir=None)
    assert len(graph.modules) > 200
    assert circles(graph) == []
