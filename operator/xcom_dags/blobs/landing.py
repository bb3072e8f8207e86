"""Memory of the size of an object, which its parts are written into as they arrive."""

from __future__ import annotations

import hashlib
import mmap
import threading


class Landing:
    """A file in memory for a parallel download, hashed from its start while it arrives.

    Attributes:
        memory: the bytes; arrays may be views of it.
    """

    def __init__(self, size: int) -> None:
        """Room for `size` bytes, at least 1; pages are taken as they are written to."""
        self.memory = mmap.mmap(-1, size)
        self._size = size
        self._position = 0
        self._arrived: dict[int, int] = {}
        self._written = 0
        self._repeated = False
        self._over = False
        self._digest = hashlib.sha256()
        self._ready = threading.Condition()
        # SHA-256 lets go of the interpreter's lock: it runs beside the download.
        self._hasher = threading.Thread(target=self._hash, daemon=True)
        self._hasher.start()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to where the next piece belongs."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        """Where the next piece would go."""
        return self._position

    def seekable(self) -> bool:
        """Pieces may come in any order."""
        return True

    def write(self, data: bytes) -> int:
        """Put one piece where it belongs.

        Raises:
            ValueError: there is more than there should be.
        """
        start, end = self._position, self._position + len(data)
        if end > self._size:
            raise ValueError(f"more than the {self._size} bytes that are referred to")
        self.memory[start:end] = data
        self._position = end
        with self._ready:
            # A part that broke off is fetched again, and may have been hashed already.
            self._repeated = self._repeated or start in self._arrived or start < self._written
            self._arrived[start] = end
            self._ready.notify()
        return len(data)

    def finish(self) -> str | None:
        """The SHA-256 of the whole in hex; None if something of it never came."""
        with self._ready:
            self._over = True
            self._ready.notify()
        self._hasher.join()
        if self._written != self._size:
            return None
        if self._repeated:
            return hashlib.sha256(self.memory).hexdigest()
        return self._digest.hexdigest()

    def _hash(self) -> None:
        with memoryview(self.memory) as whole:
            while self._written < self._size:
                with self._ready:
                    while self._written not in self._arrived and not self._over:
                        self._ready.wait()
                    end = self._arrived.pop(self._written, None)
                    if end is None:
                        return
                    while end in self._arrived:
                        end = self._arrived.pop(end)
                self._digest.update(whole[self._written : end])
                with self._ready:
                    self._written = end
