"""The part of einops that the CompVis code uses, for machines without it: axes by name, groups in brackets."""


def _axes(side):
    """'b (h w) c' as [['b'], ['h', 'w'], ['c']]; '()' is an axis of one."""
    groups, open_group = [], None
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            open_group = []
        elif word == ")":
            groups.append(open_group)
            open_group = None
        elif open_group is not None:
            open_group.append(word)
        else:
            groups.append([word])
    return groups


def rearrange(tensor, pattern, **sizes):
    left, right = (_axes(side) for side in pattern.split("->"))
    sizes = dict(sizes)
    for group, size in zip(left, tensor.shape, strict=True):
        known = 1
        for name in group:
            known *= sizes.get(name, 1)
        unknown = [name for name in group if name not in sizes]
        assert len(unknown) <= 1 and size % known == 0, (pattern, tuple(tensor.shape))
        if unknown:
            sizes[unknown[0]] = size // known
        else:
            assert known == size, (pattern, tuple(tensor.shape))
    names = [name for group in left for name in group]
    tensor = tensor.reshape([sizes[name] for name in names])
    tensor = tensor.permute([names.index(name) for group in right for name in group])
    shape = []
    for group in right:
        size = 1
        for name in group:
            size *= sizes[name]
        shape.append(size)
    return tensor.reshape(shape)


def repeat(tensor, pattern, **sizes):
    """rearrange, after the axes that only the result has were added in front."""
    left, right = pattern.split("->")
    known = {name for group in _axes(left) for name in group}
    new = [name for group in _axes(right) for name in group if name not in known]
    tensor = tensor.expand([sizes[name] for name in new] + list(tensor.shape))
    return rearrange(tensor, " ".join([*new, left]) + " ->" + right, **sizes)
