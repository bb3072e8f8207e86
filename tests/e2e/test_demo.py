"""`make demo` shows what it promises: each of its chapters fails unless it saw it."""

from __future__ import annotations

from demo.chapters import Demo
from harness.cluster import Cluster


def test_the_demo_tells_the_whole_story(cluster: Cluster) -> None:
    demo = Demo(cluster)
    try:
        demo.run()
    finally:
        demo.stack.close()
    assert [chapter.title for chapter in demo.story.chapters if not chapter.seen] == []
    assert len(demo.story.chapters) >= 9
