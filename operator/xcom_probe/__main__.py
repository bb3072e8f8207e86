"""`python -m xcom_probe` and, inside the zipapp, `python xcom_probe.pyz`."""

from xcom_probe.main import entry

if __name__ == "__main__":
    entry()
