"""Which values a function returns and pushes, read from its source.

This is an abstract interpretation: the function is gone through as Python would, with the kinds of
values in place of values. This page says how; the tables and readers beside it do not repeat it.

    frame     a function while it is read      signatures       what known functions give
    values    what an expression may hold      library_calls, builtin_calls, methods,
    reader    reads functions, each once       method_results   the same by their arguments

A value. `Value` is one thing that an expression may hold. Its kind is what serializers distinguish,
which is finer than a class at some places (a datetime with a fixed offset, a string that is JSON)
and coarser at most (every live client is a `client`). It also has how sure that is, how it was made
(what people read), what its elements are, and of a dict with constant keys what each holds. A
`list` of ints and tuples is one value with two items: no length, no order, no positions.

Alternatives. `Values` is a set of them: the expression holds one, nobody knows which. No
alternative means that nothing is known, and then nothing is reported. Two cases are deliberately
treated alike: a name that was never seen, and code that is not understood. More than eight
alternatives are not kept; those that came first stay.

Confidence. HIGH is a literal or a known call. Each step that usually holds (an element stands for
all, an annotation of a result) takes it down to MEDIUM, each that often does (an annotation of a
parameter, a dtype that nobody names) to LOW. What is made of a value is at most as sure as that
value, unless it is the same whatever that was (`str(x)` is a string).

A frame. `Frame` is one way through a function, up to the statement being read: what each name
holds there. Where ways part, each gets a fork with names of its own; where they meet, the names are
joined; what is returned or pushed is noted once for the function, whichever way led there. Every
reader of a statement says whether its end may be reached, so that nothing is read behind a
`return`, and a way that ended is not joined.

    if isinstance(x, list):        fork, with x narrowed to lists
        y = np.zeros(3)                y: ndarray
    else:                          fork, with lists taken out of x
        raise ValueError               ends here
    return y                       y: ndarray, since one way ended

Joins. A name holds afterwards what it holds on any of the ways. Where one way leaves it unknown and
another does not, it stays known: that is a guess, and it is what makes the audit find a frame that
is loaded under an `if`. A handler of `try` begins with what holds before the body joined with what
holds after it, because it may run after any part of the body.

Loops. A body is read once, and joined with not being run. What the second round would see of the
first one is missed; what a list collects by `append` is not, since a change of a container binds
its name to another one. No fixed point is computed, so there is no widening: one pass over the text
is enough.

Calls. A call of a function or method of the file is what its `return`s give, whatever it is called
with. So each is read once, and remembered; a call of a function within itself gives nothing, and
twelve calls deep the reading ends. An imported name is looked up by its dotted path, with aliases
resolved; a method by the kind of what has it. Whatever is in no table is unknown.

Unsound on purpose. The answer is neither a proof that a value is passed nor that none is. Missed:
functions of other files, what callers pass, attributes of `self`, two names for one list, a second
round of a loop, `exec` and the like. Assumed: any way that is written may be taken, except under
conditions that hold with pickling only; library functions are those of the packages that they are
named after; `with` gives its context manager itself. A reader can check one finding in a minute,
but gives up on a hundred wrong ones. So in doubt nothing is reported; the confidence says the rest.
docs/audit.md has how often that is right, and how much it misses.

The circle. Statements hold expressions, these hold calls, and a call reads another function's
statements. Each reader knows only those below it and a `Frame`, which reaches the whole by the
protocol `Reader`: `frame.value(node)` for an expression, `frame.called(function)` for a function.

A new kind needs a rule and a measured effect (`audit`). A new function or method is an entry in
`signatures`, or, where its result depends on its arguments, a function of `library_calls` or
`method_results`. Each needs a line in tests/unit/xcom_static/snippets.
"""
