# SPDX-License-Identifier: Apache-2.0
"""docs/api.md: every field of every resource, from the CRDs, which are the source of truth."""

import pathlib

import yaml

HEAD = """# API reference

Made by `hack/gen-docs` from `crds/`; do not edit. `kubectl explain tm.spec.cutover --recursive`
says the same on a cluster. Group `cutover.dev`, version `v1alpha1`.

"""


# What says nothing: a text that is not empty, a number that is not negative.
NO_LIMITS = [("minLength", 1), ("minItems", 1), ("minimum", 0)]


def cell(text):
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def type_of(schema):
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or text"
    kind = schema.get("type", "object")
    if kind == "array":
        return f"list of {type_of(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return f"map of {type_of(schema['additionalProperties'])}"
    return {"string": "text", "date-time": "time"}.get(schema.get("format", kind), kind)


def limits_of(schema):
    """What is admitted, in words."""
    named = {"minimum": "at least {}", "maximum": "at most {}",
             "minLength": "at least {} characters", "maxLength": "at most {} characters",
             "minItems": "at least {} items", "maxItems": "at most {} items",
             "pattern": "matches `{}`"}  # fmt: skip
    said = [words.format(cell(schema[key])) for key, words in named.items()
            if key in schema and (key, schema[key]) not in NO_LIMITS]  # fmt: skip
    return ", ".join(said)


def fields(schema, path):
    """(path, schema, required) of everything below, in the order of the CRD."""
    for name, child in schema.get("properties", {}).items():
        inner = f"{path}.{name}"
        yield inner, child, name in schema.get("required", [])
        below = child
        while below.get("type") == "array":
            below, inner = below["items"], inner + "[]"
        yield from fields(below, inner)


def rules(schema, path):
    for rule in schema.get("x-kubernetes-validations", []):
        yield path, rule.get("message", rule["rule"])
    for name, child in schema.get("properties", {}).items():
        inner, below = f"{path}.{name}", child
        yield from rules(child, inner) if child.get("type") != "array" else []
        while below.get("type") == "array":
            yield from ((inner, rule["message"])
                        for rule in below.get("x-kubernetes-validations", []))  # fmt: skip
            below, inner = below["items"], inner + "[]"
            yield from rules(below, inner)


def table(schema, path):
    yield "| field | type | default | meaning |\n|---|---|---|---|\n"
    for name, field, required in fields(schema, path):
        default = f"`{field['default']}`" if "default" in field else "required" if required else ""
        words = cell(field.get("description", ""))
        limits = limits_of(field)
        meaning = f"{words} ({limits})" if words and limits else words or limits
        yield f"| `{name}` | {type_of(field)} | {cell(default)} | {meaning} |\n"


def render_crd(crd):
    names, [version] = crd["spec"]["names"], crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    scope = "in a namespace" if crd["spec"]["scope"] == "Namespaced" else "of the whole cluster"
    yield f"## {names['kind']}\n\n"
    yield f"{cell(schema.get('description', ''))}\n\n"
    yield f"Lives {scope}. Short name `{names['shortNames'][0]}`.\n\n"
    for part in ("spec", "status"):
        properties = schema["properties"][part]
        yield f"### {names['kind']}: {part}\n\n"
        yield from table(properties, part)
        yield "\n"
    refused = list(dict.fromkeys(rules(schema["properties"]["spec"], "spec")))
    if refused:
        yield f"### {names['kind']}: what is refused\n\n"
        yield "| where | what the API server answers |\n|---|---|\n"
        for path, message in refused:
            yield f"| `{path}` | {cell(message)} |\n"
        yield "\n"


def render(root):
    text = HEAD
    for path in sorted(pathlib.Path(root, "crds").glob("*.yaml")):
        text += "".join(render_crd(yaml.safe_load(path.read_text())))
    return text.rstrip() + "\n"
