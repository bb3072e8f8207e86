"""Certificates and kubeconfigs of a control plane, made by kubeadm."""

from __future__ import annotations

import ipaddress
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import tools
from harness.shell import run


@dataclass(frozen=True)
class Pki:
    """One control plane's identity.

    Attributes:
        folder: where everything goes: `pki/` for certificates, `*.conf` for kubeconfigs.
        address: the API server's IP address.
        port: the API server's port.
        node_name: the node whose kubelet gets a kubeconfig.
        service_cidr: the range of ClusterIPs; its first address is in the server's certificate.
    """

    folder: Path
    address: str
    port: int
    node_name: str
    service_cidr: str

    def file(self, name: str) -> Path:
        """A certificate or key, such as `etcd/ca.crt`."""
        return self.folder / "pki" / name

    def kubeconfig(self, name: str) -> Path:
        """A kubeconfig, such as `admin`."""
        return self.folder / f"{name}.conf"

    def create(self, *kubeconfigs: str) -> None:
        """Make all certificates and the named kubeconfigs.

        `super-admin` is the one that works before RBAC is set up; `admin` needs the group
        `kubeadm:cluster-admins` to be bound first (see `CLUSTER_ADMINS`).

        Raises:
            CommandError: kubeadm failed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "kubeadm.json"
        config.write_text("---\n".join(json.dumps(part) + "\n" for part in self._config()))
        kubeadm = tools.tool("kubeadm")
        run(kubeadm, "init", "phase", "certs", "all", "--config", config)
        phase = ("init", "phase", "kubeconfig")
        phases = [
            (kubeadm, *phase, name, "--config", config, "--kubeconfig-dir", self.folder)
            for name in kubeconfigs
        ]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda command: run(*command), phases))

    def create_user(self, user: str, name: str) -> None:
        """Make the kubeconfig `name` with a client certificate of the given user."""
        config = self.folder / "kubeadm.json"
        kubeadm = tools.tool("kubeadm")
        text = run(kubeadm, "kubeconfig", "user", "--client-name", user, "--config", config)
        path = self.kubeconfig(name)
        path.touch(mode=0o600)
        path.write_text(text)

    def _config(self) -> list[dict[str, object]]:
        api = "kubeadm.k8s.io/v1beta4"
        # kubeadm refuses to advertise a loopback address. The kubeconfigs name the control plane
        # endpoint below instead, so this one, which documentation may use, is never contacted.
        loopback = ipaddress.ip_address(self.address).is_loopback
        advertised = "192.0.2.1" if loopback else self.address
        return [
            {
                "apiVersion": api,
                "kind": "InitConfiguration",
                "localAPIEndpoint": {"advertiseAddress": advertised, "bindPort": self.port},
                # A socket that is named is not searched for.
                "nodeRegistration": {
                    "name": self.node_name,
                    "criSocket": "unix:///nonexistent/containerd.sock",
                },
            },
            {
                "apiVersion": api,
                "kind": "ClusterConfiguration",
                # A version that is named is not asked for on the Internet.
                "kubernetesVersion": tools.KUBERNETES_VERSION,
                "certificatesDir": str(self.folder / "pki"),
                "controlPlaneEndpoint": f"{self.address}:{self.port}",
                # Made in milliseconds, where RSA takes seconds.
                "encryptionAlgorithm": "ECDSA-P256",
                "networking": {"serviceSubnet": self.service_cidr},
                "apiServer": {"certSANs": ["127.0.0.1", "localhost"]},
            },
        ]

    def etcd_flags(self, data: Path, client_port: int, peer_port: int) -> list[str]:
        """etcd on loopback, with client certificates, without waiting for the disk."""
        client, peer = f"https://127.0.0.1:{client_port}", f"https://127.0.0.1:{peer_port}"
        return [
            "--name=default",
            f"--data-dir={data}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--client-cert-auth",
            "--peer-client-cert-auth",
            f"--trusted-ca-file={self.file('etcd/ca.crt')}",
            f"--cert-file={self.file('etcd/server.crt')}",
            f"--key-file={self.file('etcd/server.key')}",
            f"--peer-trusted-ca-file={self.file('etcd/ca.crt')}",
            f"--peer-cert-file={self.file('etcd/peer.crt')}",
            f"--peer-key-file={self.file('etcd/peer.key')}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def apiserver_flags(self, etcd_client_port: int) -> list[str]:
        """The API server's flags as kubeadm would set them, reaching kubelets by their IP."""
        pki = self.file
        return [
            f"--advertise-address={self.address}",
            f"--bind-address={self.address}",
            f"--secure-port={self.port}",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            f"--client-ca-file={pki('ca.crt')}",
            f"--tls-cert-file={pki('apiserver.crt')}",
            f"--tls-private-key-file={pki('apiserver.key')}",
            f"--etcd-servers=https://127.0.0.1:{etcd_client_port}",
            f"--etcd-cafile={pki('etcd/ca.crt')}",
            f"--etcd-certfile={pki('apiserver-etcd-client.crt')}",
            f"--etcd-keyfile={pki('apiserver-etcd-client.key')}",
            f"--kubelet-client-certificate={pki('apiserver-kubelet-client.crt')}",
            f"--kubelet-client-key={pki('apiserver-kubelet-client.key')}",
            # Node names do not resolve here; without this, logs and exec fail.
            "--kubelet-preferred-address-types=InternalIP",
            f"--proxy-client-cert-file={pki('front-proxy-client.crt')}",
            f"--proxy-client-key-file={pki('front-proxy-client.key')}",
            f"--requestheader-client-ca-file={pki('front-proxy-ca.crt')}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki('sa.pub')}",
            f"--service-account-signing-key-file={pki('sa.key')}",
            f"--service-cluster-ip-range={self.service_cidr}",
        ]


# Binds the group of kubeadm's `admin` kubeconfig and of the API server's kubelet client.
CLUSTER_ADMINS: dict[str, object] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "kubeadm:cluster-admins"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "cluster-admin",
    },
    "subjects": [
        {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Group",
            "name": "kubeadm:cluster-admins",
        }
    ],
}
