"""What the API server shows, kept up to date by watches, so that a rollout at rest asks nothing.

A look at the cache may decide that nothing is to be done. It never decides an effect: that is
decided again on a look at the API server itself (`reconcile`).
"""

from xcom_rollout.cache.cached_kube import CachedKube
from xcom_rollout.cache.collections import Cache

__all__ = ["Cache", "CachedKube"]
