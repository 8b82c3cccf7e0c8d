"""The enumerations of the worker, read off its headers by libclang.

operators.py exchanges each enumerator for the next, in the order of the sources.
"""

class Unreadable(Exception):
    pass


def of(root, files):
    """Name -> enumerator -> the next, of every `enum class` below root that these files have or
    include. The name is the last part of it, as operators.py finds it before the `::`; two of one
    name with an enumerator in common would be taken for each other, and are refused."""
    from clang import cindex  # here: whoever makes no mutants needs no libclang

    text = "".join(f'#include "{root / file}"\n' for file in files)
    unit = cindex.Index.create().parse(
        "enumerations.cpp", ["-std=c++20", f"-I{root / 'include'}"], [("enumerations.cpp", text)],
        cindex.TranslationUnit.PARSE_SKIP_FUNCTION_BODIES)
    errors = [str(each) for each in unit.diagnostics if each.severity >= cindex.Diagnostic.Error]
    if errors:
        raise Unreadable("libclang cannot read the worker:\n" + "\n".join(errors))
    found, places = {}, {}
    for cursor in declarations(unit.cursor, str(root), cindex.CursorKind):
        name, place = cursor.spelling, f"{cursor.location.file}:{cursor.location.line}"
        values = [child.spelling for child in cursor.get_children()
                  if child.kind == cindex.CursorKind.ENUM_CONSTANT_DECL]
        for value, following in zip(values, values[1:] + values[:1]):
            other = places.setdefault((name, value), place)
            if other != place:
                raise Unreadable(f"two enumerations are called {name} and have {value}: {other}, "
                                 f"{place}")
            found.setdefault(name, {})[value] = following
    return found


def declarations(cursor, root, kinds):
    """The scoped enumerations below a cursor, in files below root."""
    for child in cursor.get_children():
        if child.location.file is None or not child.location.file.name.startswith(root):
            continue
        if child.kind == kinds.ENUM_DECL and child.is_scoped_enum():
            yield child
        else:
            yield from declarations(child, root, kinds)
