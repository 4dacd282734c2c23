"""Python's own xmlrpc.client as the judge of our codec.

    oracle.py generate DIR    write bodies of calls and answers, made by xmlrpc.client from a fixed seed, as DIR/N.xml
    oracle.py compare DIR     compare each DIR/N.xml with DIR/N.out.xml, what our codec made of it

Values are compared by their repr, so that 1, True and 1.0 are three things.
"""

import pathlib
import random
import sys
import xmlrpc.client


def dump_int(marshaller, value, write):
    """As Koji's client: xmlrpc.client alone refuses wide integers."""
    tag = "int" if -2**31 <= value < 2**31 else "i8"
    write(f"<value><{tag}>{value}</{tag}></value>\n")


xmlrpc.client.Marshaller.dispatch[int] = dump_int

TEXTS = ["", " ", "x", "žluťoučký kůň", "a<b>&amp;c", "]]>", "  inner  space ", "tab\tand\nnewline", "\u2028", "😀", "'\""]
DOUBLES = [0.0, -0.0, 1.5, 0.1, 1e300, 1e-300, 5e-324, 1795351245.53503, 1e15, 1e16, 123456789012345680.0, 0.0001, 0.00001]


def value(depth):
    kind = random.randrange(6 if depth > 4 else 8)
    if kind == 0:
        return None
    if kind == 1:
        return random.random() < 0.5
    if kind == 2:
        bits = random.choice([3, 31, 32, 33, 63])
        return random.randint(-2**bits, 2**bits - 1)
    if kind == 3:
        return random.choice(DOUBLES + [random.random() * 10 ** random.randint(-20, 20)])
    if kind in (4, 5):
        return random.choice(TEXTS) + "".join(map(chr, random.choices(range(0x20, 0xD7FF), k=random.randrange(4))))
    if kind == 6:
        return [value(depth + 1) for _ in range(random.randrange(4))]
    return {random.choice(TEXTS) + str(i): value(depth + 1) for i in range(random.randrange(4))}


def generate(directory):
    random.seed(20261122)
    for number in range(300):
        if number % 3 == 0:
            body = xmlrpc.client.dumps((value(0),), methodresponse=True, allow_none=True)
        elif number % 3 == 1:
            params = tuple(value(0) for _ in range(random.randrange(4)))
            body = xmlrpc.client.dumps(params, methodname="listTagged", allow_none=True)
        else:
            fault = xmlrpc.client.Fault(random.randrange(1030), str(value(9)))
            body = xmlrpc.client.dumps(fault, methodresponse=True, allow_none=True)
        (directory / f"{number}.xml").write_text(body, encoding="utf-8", newline="")


def loads(path):
    try:
        params, method = xmlrpc.client.loads(path.read_bytes())
    except xmlrpc.client.Fault as fault:
        return repr(("fault", fault.faultCode, fault.faultString))
    return repr((method, canonical(params)))


def canonical(item):
    if isinstance(item, dict):
        return sorted((name, canonical(member)) for name, member in item.items())
    if isinstance(item, (list, tuple)):
        return [canonical(element) for element in item]
    return item


def compare(directory):
    compared = 0
    for theirs in sorted(directory.glob("*.xml")):
        if theirs.name.endswith(".out.xml"):
            continue
        ours = theirs.with_suffix(".out.xml")
        expected, found = loads(theirs), loads(ours)
        if expected != found:
            sys.exit(f"{theirs.name}: xmlrpc.client reads\n  {expected}\nand of ours\n  {found}")
        compared += 1
    print(compared)


if __name__ == "__main__":
    {"generate": generate, "compare": compare}[sys.argv[1]](pathlib.Path(sys.argv[2]))
