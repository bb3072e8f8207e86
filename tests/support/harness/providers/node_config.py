"""Configuration files of the node's parts, as data."""

from __future__ import annotations

from pathlib import Path

from harness.providers.node_network import Addresses


def containerd(root: Path, run: Path, cni: Path, sandbox_image: str) -> str:
    """containerd 1.6: its own root, state and socket."""
    return f"""\
version = 2
root = "{root}/containerd"
state = "{run}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{run}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox_image}"
  stream_server_address = "127.0.0.1"
  netns_mounts_under_state_dir = true
  tolerate_missing_hugetlb_controller = true
  # CAP_SYS_RESOURCE may be missing, in a container for example.
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    discard_unpacked_layers = true

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{run}/runc"
"""


def cni(where: Addresses, data: Path) -> dict[str, object]:
    """Pods by point-to-point links: all their traffic is routed, so Services always apply."""
    return {
        "cniVersion": "0.4.0",
        "name": "xcom-rollout",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(data),
                    "ranges": [[{"subnet": where.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(root: Path, run: Path, where: Addresses, ca: Path, cgroup: str) -> dict[str, object]:
    """The kubelet: nothing outside `root` and `run`, and nothing evicted for want of disk."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": where.node,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(ca)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "clusterDNS": [where.dns],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{run}/containerd.sock",
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 250,
        "oomScoreAdj": 0,
        "podLogsDir": str(root / "pod-logs"),
        "resolvConf": str(root / "resolv.conf"),
        # Several image pulls and pod starts at once; the default is meant for shared registries.
        "serializeImagePulls": False,
        "volumePluginDir": str(root / "volume-plugins"),
    }


def kube_proxy(kubeconfig: Path, node: str, where: Addresses) -> dict[str, object]:
    """kube-proxy by iptables; the machine's connection tracking limits are left alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": where.pods,
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpCloseWaitTimeout": "0s",
            "tcpEstablishedTimeout": "0s",
        },
        "detectLocalMode": "ClusterCIDR",
        "hostnameOverride": node,
        "mode": "iptables",
        "nodePortAddresses": ["primary"],
    }


def cluster_dns(where: Addresses, image: str) -> list[dict[str, object]]:
    """CoreDNS: the cluster's names, and "no such name" for all others."""
    labels = {"k8s-app": "kube-dns"}
    system = {"namespace": "kube-system", "name": "coredns"}
    corefile = """\
.:1053 {
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
    cache 5
}
"""
    rbac = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": system},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
            ],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", **system}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": system,
            "data": {"Corefile": corefile},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "kube-system", "name": "kube-dns"},
            "spec": {
                "clusterIP": where.dns,
                "selector": labels,
                "ports": [
                    {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 1053},
                    {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": 1053},
                ],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": system,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": "coredns",
                        "priorityClassName": "system-cluster-critical",
                        "dnsPolicy": "Default",
                        "containers": [_coredns_container(image)],
                        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
                    },
                },
            },
        },
    ]


def _coredns_container(image: str) -> dict[str, object]:
    return {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "failureThreshold": 5},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
    }
