# SPDX-License-Identifier: GPL-2.0-only
"""What an argument says, read back and compared with the Worlds that it is about.

Knows nothing of how the sentences are made: each clause is parsed, and what it claims is looked up
in the scenes before and after the operation. A clause that cannot be parsed is an error.
"""

import re

import pytest

from report.scene import AnonVmaView, LinkView, MmView, VmaView

_AV = r"(?:av\d+(?: \(anon_vma#\d+\))?|anon_vma#\d+|avc#\d+)"
_OBJECT = r"(?:page|slot|avc)#\d+"
AV, OBJECT, LIST = f"({_AV})", f"({_OBJECT})", f"({_AV}(?: {_AV})*)"
VMA = r"(vma#\d+ \(\w+(?: \[\d+,\d+\))?\))"


class Reader:
    """Reads the clauses of one history.

    Attributes:
        ids: Ids of anon_vmas by short name.
        before: The scene before the operation at hand.
        after: The scene after it.
        op: The operation.
    """

    def __init__(self, frames):
        self.ids = {}
        for frame in frames:
            views = [*frame.scene.values(), *frame.ghosts.values()]
            self.ids.update({v.name: v.id for v in views if isinstance(v, AnonVmaView)})
        self.before, self.after, self.op = {}, {}, None

    def av(self, text):
        """The id of an anon_vma; a name with an id has the right one."""
        name, _, rest = text.partition(" ")
        if "#" in name:
            return name
        if rest:
            assert self.ids[name] == rest.strip("()"), text
        return self.ids[name]

    def vma(self, text):
        """The id of a VMA; its process and, where given, its range are right."""
        each, process, start, end = re.fullmatch(
            r"(vma#\d+) \((\w+)(?: \[(\d+),(\d+)\))?\)", text
        ).groups()
        view = self.after.get(each) or self.before[each]
        assert view.process == process, text
        if start is not None:
            assert (view.start, view.end) == (int(start), int(end)), text
        return each

    def target(self, link, scene):
        """What a link leads to."""
        view = scene.get(link)
        return view.anon_vma if isinstance(view, LinkView) and view.anon_vma else link

    def chain(self, each, scene):
        """What the chain of a VMA leads to, head first."""
        return [self.target(link, scene) for link in scene[each].chain]

    def avs(self, text):
        """The ids in a list of anon_vmas."""
        return [self.av(each) for each in re.findall(AV, text)]

    def value(self, text):
        """A mapping: an id, or None."""
        return None if text == "none" else self.av(text)

    def claims(self, clause):
        """Check a clause."""
        for pattern, check in PATTERNS:
            match = re.fullmatch(pattern, clause)
            if match is not None:
                check(self, *match.groups())
                return
        pytest.fail(f"nobody understands: {clause}")


def is_new(reader, each):
    """It came with the operation."""
    assert each in reader.after, each
    assert each not in reader.before, each


def is_freed(reader, each):
    """It went with the operation."""
    assert each in reader.before, each
    assert each not in reader.after, each


def new_root(reader, name):
    """A new anon_vma that is below nothing."""
    each = reader.av(name)
    is_new(reader, each)
    view = reader.after[each]
    assert (view.parent or view.root or each) == each


def new_below(reader, name, over):
    """A new anon_vma below another one."""
    each = reader.av(name)
    is_new(reader, each)
    view = reader.after[each]
    assert (view.parent or view.root) == reader.av(over) != each


def new_vma(reader, name, rest):
    """A new VMA with what it has."""
    each = reader.vma(name)
    is_new(reader, each)
    view = reader.after[each]
    chain = re.search(rf"(?:with|and) chain {LIST}", rest)
    assert reader.chain(each, reader.after) == (reader.avs(chain[1]) if chain else [])
    if " without anon_vma" in rest:
        assert view.anon_vma is None
    elif (own := re.search(rf" with anon_vma {AV}", rest)) is not None:
        assert view.anon_vma == reader.av(own[1])
    else:
        reused = re.search(rf" and reuses {AV}, which had (.*)$", rest)
        anon_vma = reader.av(reused[1])
        assert reader.op.kind.value == "fork"
        assert view.anon_vma == anon_vma
        counts = dict(reader.before[anon_vma].counts)
        assert reused[2] == " and ".join(f"{name} {n}" for name, n in counts.items())
        parents = [v for v in reader.before.values() if isinstance(v, VmaView)]
        mine = [v for v in parents if v.process == reader.op.process]
        assert anon_vma not in {v.anon_vma for v in mine}


def held_too(reader, name, others):
    """VMAs that have the anon_vma."""
    for other in re.findall(VMA, others):
        assert reader.after[reader.vma(other)].anon_vma == reader.av(name)


def gets(reader, name, now, was, how):
    """A VMA that got another anon_vma, with a link to it or without."""
    each = reader.vma(name)
    old, new = reader.before[each].anon_vma, reader.after[each].anon_vma
    assert new == reader.av(now) != old
    assert old == (reader.av(was) if was else None)
    linked = new in [reader.target(link, reader.after) for link in reader.after[each].chain]
    assert linked == (how == "and")


def loses(reader, name, was):
    """A VMA that has no anon_vma any more."""
    each = reader.vma(name)
    assert reader.before[each].anon_vma == reader.av(was)
    assert reader.after[each].anon_vma is None


def linked(reader, name, no_longer, target):
    """A VMA whose chain got or lost a link."""
    each, leads = reader.vma(name), reader.av(target)
    old, new = reader.before[each].chain, reader.after[each].chain
    there, here, scene = (old, new, reader.before) if no_longer else (new, old, reader.after)
    assert leads in [reader.target(link, scene) for link in there if link not in here]


def ranged(reader, name, *numbers):
    """A VMA that has another range."""
    each = reader.vma(name)
    start, end, was_start, was_end = map(int, numbers)
    assert (reader.after[each].start, reader.after[each].end) == (start, end)
    assert (reader.before[each].start, reader.before[each].end) == (was_start, was_end)
    assert (start, end) != (was_start, was_end)


def has_field(reader, name, field, now, was):
    """A VMA with another value of a field."""
    each = reader.vma(name)
    assert str(getattr(reader.after[each], field)) == now != was
    assert str(getattr(reader.before[each], field)) == was


def flagged(reader, name, no_longer, flag):
    """A VMA that got or lost a flag."""
    each = reader.vma(name)
    assert (flag in reader.after[each].flags) is not bool(no_longer)
    assert (flag in reader.before[each].flags) is bool(no_longer)


def counted(reader, field, name, was, now):
    """A counter or field of an anon_vma, page or slot that changed."""
    each = reader.av(name) if name.startswith(("av", "anon_vma")) else name
    for scene, told in ((reader.before, was), (reader.after, now)):
        view = scene[each]
        value = dict(getattr(view, "counts", ())).get(field)
        value = getattr(view, field) if value is None else value
        assert value == (reader.value(told) if field == "mapping" else int(told)), field
    assert was != now


def new_link(reader, each, vma, target):
    """A new link with what it connects."""
    is_new(reader, each)
    view = reader.after[each]
    assert (view.vma or "nothing") == vma
    assert view.anon_vma == (None if target == "nothing" else reader.av(target))


def new_page(reader, each, mapping):
    """A new page with its mapping."""
    is_new(reader, each)
    assert reader.after[each].mapping == reader.value(mapping)


def new_slot(reader, each, count):
    """A new slot with its count."""
    is_new(reader, each)
    assert reader.after[each].count == int(count)


def exclusive(reader, each, how):
    """A page that is or is no longer exclusive."""
    assert reader.after[each].exclusive is (how == "exclusive now")
    assert reader.before[each].exclusive is not reader.after[each].exclusive


def in_slot(reader, each, slot, no_slot):
    """A page that went into the swap cache, or out of it."""
    assert reader.after[each].slot == slot
    assert reader.before[each].slot != slot
    if no_slot:
        assert reader.before[each].slot == no_slot


def referenced(reader, process, page, name, how):
    """A reference from outside that was taken or dropped."""
    each = f"get:{process}:{page}"
    (is_new if how == "taken" else is_freed)(reader, each)
    assert (reader.after.get(each) or reader.before[each]).anon_vma == reader.av(name)


def entries(scene, label, what):
    """What a process maps or pins: how, by page and address."""
    mm = scene.get(f"mm:{label}")
    if not isinstance(mm, MmView):
        return {}
    if what == "pins":
        return {(pin.page, pin.address): None for pin in mm.pins}
    return {(pte.page, pte.address): "rw" if pte.write else "r" for pte in mm.ptes}


def maps(reader, label, what, each, address, how):
    """A page that a process maps, or pins, and did not so before."""
    place = (each, int(address))
    assert entries(reader.after, label, what)[place] == how
    was = entries(reader.before, label, what)
    assert place not in was or was[place] != how


def unmaps(reader, label, what, each, address):
    """A page that a process no longer maps or pins."""
    place = (each, int(address))
    assert place in entries(reader.before, label, what)
    assert place not in entries(reader.after, label, what)


PATTERNS = [
    (rf"{AV} is new, a root", new_root),
    (rf"{AV} is new, below {AV}", new_below),
    (
        rf"{AV} is the anon_vma of ({VMA}(?: and {VMA})*), too",
        lambda r, a, o, *_: held_too(r, a, o),
    ),
    (rf"{VMA} is new(.*)", new_vma),
    (rf"{VMA} is freed", lambda r, name: is_freed(r, r.vma(name))),
    (rf"{OBJECT} is freed", is_freed),
    (rf"{AV} is freed", lambda r, name: is_freed(r, r.av(name))),
    (rf"{VMA} is \[(\d+),(\d+)\) now, was \[(\d+),(\d+)\)", ranged),
    (rf"{VMA} has (prot|pgoff) (\S+) now, had (\S+)", has_field),
    (rf"{VMA} gets anon_vma {AV}(?: in place of {AV})? (and|without) a link to it", gets),
    (rf"{VMA} loses its anon_vma {AV}", loses),
    (rf"{VMA} is (no longer )?linked to {AV}", linked),
    (rf"{VMA} is (no longer )?(\w+)(?: now)?", flagged),
    (rf"(\w+) of ({_AV}|{_OBJECT}) goes from (.+) to (.+)", counted),
    (rf"{OBJECT} is new, from (\S+) to (.+)", new_link),
    (rf"{OBJECT} is new with mapping (.+)", new_page),
    (rf"{OBJECT} is new with count (\d+)", new_slot),
    (rf"{OBJECT} is (exclusive now|no longer exclusive)", exclusive),
    (rf"{OBJECT} is (?:in (\S+) now|no longer in (\S+))", in_slot),
    (rf"the reference of (\w+) page (\d+) on {AV} is (taken|dropped)", referenced),
    (r"(\w+) (maps|pins) (page#\d+) at (\d+)(?: \((rw|r)\))?", maps),
    (r"(\w+) no longer (maps|pins) (page#\d+) at (\d+)", unmaps),
]


def doing(op):
    """How an operation is told, in its two forms, up to what it lacks memory for."""
    last = op.page + op.pages - 1
    pages = f"page {op.page}" if op.pages == 1 else f"pages {op.page}-{last}"
    told = {
        "mmap": f"map {pages} {op.prot}",
        "touch": f"write to page {op.page}" if op.access == "write" else f"read page {op.page}",
        "exit": "exit",
        "exec": "exec",
        "munmap": f"unmap {pages}",
        "mprotect": f"make {pages} {op.prot}",
        "madvise": f"advise {op.advice} on {pages}",
        "mremap": f"move {pages} to page {op.target}",
        "dontunmap": f"move {pages} to page {op.target} with MREMAP_DONTUNMAP",
        "swap_out": f"see page {op.page} swapped out",
        "pin": f"pin page {op.page} for {'reading' if op.access == 'read' else 'writing'}",
        "unpin": f"unpin page {op.page}",
        "get": f"take a reference on the anon_vma of page {op.page}",
        "put": f"drop the reference of page {op.page}",
        "migrate": f"see page {op.page} migrated",
    }
    if op.kind.value == "fork":
        return [f"Let {op.child} = fork({op.process})", f"Then {op.child} = fork({op.process})"]
    first, _, rest = told[op.kind.value].partition(" ")
    return [
        f"Let {op.process} {first} {rest}".rstrip(),
        f"Then {op.process} {first}s {rest}".rstrip(),
    ]


def check_argument(lines, frames, ops):
    """Check every sentence of an argument up to the contradiction; return what was told.

    Args:
        lines: The argument.
        frames: The frames of the history, the one before the first operation included.
        ops: The history.
    """
    reader = Reader(frames)
    at, told = 0, []
    for line in lines:
        if line.startswith("Contradiction: "):
            reader.after = frames[-1].scene
            check_states(reader, lines[-1], frames)
            break
        if (
            left := re.fullmatch(r"\(ops\[(\d+)\.\.(\d+)\]: (\d+) operations .*", line)
        ) is not None:
            first, last, count = map(int, left.groups())
            assert (first, last - first + 1) == (at, count), line
            at = last + 1
            continue
        if (exits := re.fullmatch(r"Let (.*) and (\w+) exit\.", line)) is not None:
            labels = [*exits[1].split(", "), exits[2]]
            assert [str(op) for op in ops[at : at + len(labels)]] == [f"exit({x})" for x in labels]
            at += len(labels)
            continue
        frame, op = frames[at + 1], ops[at]
        reader.before, reader.after, reader.op = frames[at].scene, frame.scene, op
        head, colon, clauses = line.removesuffix(".").partition(": ")
        forms = [form for form in doing(op) if head.startswith(form)]
        assert forms, f"{line} is told of {op}"
        check_outcome(head.removeprefix(max(forms, key=len)), frame, op)
        for clause in clauses.split("; ") if colon else []:
            reader.claims(clause)
            told.append(clause)
        at += 1
    assert at == len(frames) - 1
    return told


def check_states(reader, line, frames):
    """Check what is said of the objects of a finding as they are."""
    assert line.startswith(("Here ", "But "))
    for state in line.removesuffix(".").removeprefix("Here ").split("; "):
        if line.startswith("But "):
            continue
        gone = re.fullmatch(r"(\S+)(?: \(anon_vma#\d+\))? was freed in ops\[(\d+)\]", state)
        if gone is not None:
            each = gone[1] if "#" in gone[1] or ":" in gone[1] else reader.av(gone[1])
            assert frames[int(gone[2]) + 1].changes[each] == "freed"
            continue
        name, _, fields = state.partition(" has ")
        if name.startswith("vma#"):
            view = reader.after[reader.vma(name)]
            own, chain = re.fullmatch(
                r"(?:no anon_vma|anon_vma (.+)) and chain (.+)", fields
            ).groups()
            assert view.anon_vma == (reader.av(own) if own else None)
            expected = [] if chain == "empty" else reader.avs(chain)
            assert reader.chain(view.id, reader.after) == expected
            continue
        each = name if name.startswith(("page", "slot")) else reader.av(name)
        view = reader.after[each]
        for field in re.split(r", | and ", fields):
            what, value = field.split(" ", 1)
            now = dict(getattr(view, "counts", ())).get(what)
            now = getattr(view, what) if now is None else now
            assert now == (reader.value(value) if what == "mapping" else int(value))


def check_outcome(text, frame, op):
    """Check what is said of how an operation ended."""
    short = re.match(r" with no memory for allocations? ([\d, and]*\d)", text)
    numbers = tuple(map(int, re.findall(r"\d+", short[1]))) if short else ()
    assert numbers == op.fail_nth, text
    rest = text[short.end() :] if short else text
    if frame.is_noop:
        assert rest == ", and nothing is done"
    elif frame.returned == "stopped inside":
        assert rest == ", which stops inside"
    elif frame.returned.startswith("-"):
        assert rest == f", which returns {frame.returned}"
    else:
        assert rest == ""
