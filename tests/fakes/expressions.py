"""The update and condition expressions that the workloads use: SET, REMOVE, ADD, attribute_exists.

Pure: takes an item and gives a new one. What isn't supported raises Invalid, it is never ignored.
"""
import copy
import re

from .values import CONTEXT, Invalid, number

TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|#[A-Za-z0-9_]+|:[A-Za-z0-9_]+|\d+|<>|<=|>=|[-+=<>.,()\[\]])")
CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")


def tokens(text):
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise Invalid("Invalid expression: syntax error near %r" % text[at:at + 20])
        found.append(match.group(1))
        at = match.end()
    return found


class Parser:
    """Reads one expression over one item; `#n` and `:v` come from the request."""

    def __init__(self, text, item, names, values):
        self.rest, self.item = tokens(text), item
        self.names, self.values = names or {}, values or {}

    def peek(self):
        return self.rest[0] if self.rest else ""

    def take(self, expected=None):
        if not self.rest or (expected and self.rest[0].upper() != expected):
            raise Invalid("Invalid expression: expected %s before %r" % (expected, self.peek()))
        return self.rest.pop(0)

    def path(self):
        """A list of names and indexes."""
        steps = [self.name()]
        while self.peek() in (".", "["):
            if self.take() == ".":
                steps.append(self.name())
            else:
                steps.append(int(self.take()))
                self.take("]")
        return steps

    def name(self):
        token = self.take()
        if not token.startswith("#"):
            return token
        if token not in self.names:
            raise Invalid("An expression attribute name used in the document path is not defined; "
                          "attribute name: %s" % token)
        return self.names[token]

    def literal(self):
        token = self.take()
        if token not in self.values:
            raise Invalid("An expression attribute value used in expression is not defined; "
                          "attribute value: %s" % token)
        return copy.deepcopy(self.values[token])

    def operand(self):
        token = self.peek()
        if token.startswith(":"):
            return self.literal()
        if token in ("if_not_exists", "list_append") and self.rest[1:2] == ["("]:
            return self.function()
        steps = self.path()
        found = get(self.item, steps)
        if found is None:
            raise Invalid("The provided expression refers to an attribute that does not exist in "
                          "the item")
        return copy.deepcopy(found)

    def function(self):
        name = self.take()
        self.take("(")
        if name == "if_not_exists":
            found = get(self.item, self.path())
            self.take(",")
            other = self.operand()
            result = other if found is None else copy.deepcopy(found)
        else:
            first = self.operand()
            self.take(",")
            result = {"L": first["L"] + self.operand()["L"]}
        self.take(")")
        return result

    def value(self):
        left = self.operand()
        while self.peek() in ("+", "-"):
            minus = self.take() == "-"
            left = plus(left, self.operand(), minus)
        return left


def plus(a, b, minus=False):
    if "N" not in a or "N" not in b:
        raise Invalid("Incorrect operand type for operator or function; operator or function: +")
    x, y = CONTEXT.create_decimal(a["N"]), CONTEXT.create_decimal(b["N"])
    return {"N": number(str(CONTEXT.subtract(x, y) if minus else CONTEXT.add(x, y)))}


def child(container, step):
    """The value one step down, or None."""
    if isinstance(step, int):
        members = container.get("L", [])
        return members[step] if step < len(members) else None
    return container.get("M", {}).get(step)


def get(item, steps):
    found = {"M": item}
    for step in steps:
        found = child(found, step)
        if found is None:
            return None
    return found


def parent_of(item, steps):
    parent = get(item, steps[:-1]) if len(steps) > 1 else {"M": item}
    if parent is None or ("L" if isinstance(steps[-1], int) else "M") not in parent:
        raise Invalid("The document path provided in the update expression is invalid for update")
    return parent


def set_path(item, steps, value):
    parent, last = parent_of(item, steps), steps[-1]
    if not isinstance(last, int):
        parent["M"][last] = value
    elif last < len(parent["L"]):
        parent["L"][last] = value
    else:
        parent["L"].append(value)


def remove_path(item, steps):
    parent, last = parent_of(item, steps), steps[-1]
    if not isinstance(last, int):
        parent["M"].pop(last, None)
    elif last < len(parent["L"]):
        del parent["L"][last]


def add_path(item, steps, value):
    old = get(item, steps)
    (kind, inner), = value.items()
    if kind == "N":
        set_path(item, steps, plus(old or {"N": "0"}, value))
    elif kind in ("SS", "NS", "BS"):
        have = old[kind] if old else []
        set_path(item, steps, {kind: have + [m for m in inner if m not in have]})
    else:
        raise Invalid("Incorrect operand type for operator or function; operator: ADD")


def delete_path(item, steps, value):
    old = get(item, steps)
    (kind, inner), = value.items()
    if old is None or kind not in old:
        return
    left = [m for m in old[kind] if m not in inner]
    if left:
        set_path(item, steps, {kind: left})
    else:
        remove_path(item, steps)


def update(item, expression, names, values):
    """The item after an UpdateExpression; every operand reads the item as it was before."""
    after = copy.deepcopy(item)
    p = Parser(expression, item, names, values)
    while p.rest:
        clause = p.take().upper()
        if clause not in CLAUSES:
            raise Invalid("Invalid UpdateExpression: syntax error near %r" % clause)
        while True:
            steps = p.path()
            if clause == "SET":
                p.take("=")
                set_path(after, steps, p.value())
            elif clause == "REMOVE":
                remove_path(after, steps)
            elif clause == "ADD":
                add_path(after, steps, p.literal())
            else:
                delete_path(after, steps, p.literal())
            if p.peek() != ",":
                break
            p.take()
    return after


def attribute_updates(item, updates):
    """The item after the older AttributeUpdates parameter."""
    after = copy.deepcopy(item)
    for name, change in updates.items():
        action = change.get("Action", "PUT")
        if action == "PUT":
            after[name] = change["Value"]
        elif action == "ADD":
            add_path(after, [name], change["Value"])
        elif "Value" in change:
            delete_path(after, [name], change["Value"])
        else:
            after.pop(name, None)
    return after


def holds(item, expression, names, values):
    """Whether a condition of attribute_exists, attribute_not_exists and `=`, joined by AND, holds."""
    p = Parser(expression, item, names, values)
    result = True
    while True:
        if p.peek() in ("attribute_exists", "attribute_not_exists"):
            want = p.take() == "attribute_exists"
            p.take("(")
            result &= (get(item, p.path()) is not None) == want
            p.take(")")
        else:
            steps = p.path()
            p.take("=")
            result &= get(item, steps) == p.literal()
        if not p.rest:
            return result
        p.take("AND")
