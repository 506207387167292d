"""Sizes of arrays: few of them, so that other data find their programs compiled."""


def size_class(count: int, multiple: int = 4) -> int:
    """A size that is not below a number.

    Multiples of a number, and past 16 of them eight sizes an octave. One and two stay as they are.

    Examples:
        >>> [size_class(count) for count in (1, 2, 3, 26, 61, 65, 1000)]
        [1, 2, 4, 28, 64, 72, 1024]
    """
    step = max(multiple, 1 << (count - 1).bit_length() >> 4)
    return count if count <= 2 else -(-count // step) * step
