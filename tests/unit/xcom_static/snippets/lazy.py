from airflow.decorators import task


def numbers():
    yield 1


@task
def expression():
    return (n for n in [1, 2])  # XCA016 high


@task
def mapped():
    return map(str, [1, 2])  # XCA016 high


@task
def keys():
    return {"a": 1}.keys()  # XCA016 high


@task
def a_range():
    return range(3)  # XCA016 high


@task
def called():
    return numbers()  # XCA016 high


@task
def lists():
    return [list(range(3)), list({"a": 1}.keys()), list(numbers())]


@task
def a_function():
    return lambda: 1  # XCA018 high


@task
def runs_to_its_end():
    yield 1
