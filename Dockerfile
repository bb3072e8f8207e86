# The operator: Python with pinned packages, the helm program, and the probe as one file.
#
#     docker build -t registry.example.org/xcom-rollout/operator:0.1.0 .
#
# The tests build it with other arguments, because they have no image registry: a Debian of their own
# as BASE, and a helm that is built already (tests/e2e/images/operator/context.toml).
ARG BASE=python:3.11-slim-bookworm
ARG HELM=helm-from-source
ARG SOURCE=.

FROM golang:1.26-bookworm AS helm-from-source
ARG SOURCE
WORKDIR /src
COPY ${SOURCE}/tests/e2e/gotools/helm/ ./
RUN CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags='-s -w' -o /helm \
      helm.sh/helm/v3/cmd/helm

FROM scratch AS helm-given
COPY bin/helm /helm

FROM ${HELM} AS helm

FROM ${BASE}
ARG SOURCE
# Given only where the machine needs them to reach its package index.
ARG SSL_CERT_FILE
ARG PIP_CERT
ARG REQUESTS_CA_BUNDLE
ARG PIP_INDEX_URL
ARG PIP_FIND_LINKS
ARG UV_INDEX_URL
ARG UV_DEFAULT_INDEX
ARG http_proxy
ARG https_proxy
ARG no_proxy
COPY ${SOURCE}/requirements/runtime.txt /tmp/requirements.txt
RUN python3 -m venv --without-pip /opt/venv \
 && python3 -m venv /tmp/uv && /tmp/uv/bin/pip install uv==0.13.8 \
 && /tmp/uv/bin/uv pip install --python /opt/venv/bin/python --link-mode=copy --compile-bytecode \
      --require-hashes -r /tmp/requirements.txt \
 && rm -r /tmp/uv /tmp/requirements.txt \
 && useradd --uid 65532 --user-group --home-dir /tmp --no-create-home xbr \
 && install -d -o 65532 -g 65532 -m 0755 /cache
COPY --from=helm /helm /usr/local/bin/helm
COPY ${SOURCE}/LICENSE /usr/share/doc/xcom-rollout/LICENSE
COPY ${SOURCE}/operator/ /opt/xcom-rollout/
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/xcom-rollout PYTHONUNBUFFERED=1 \
    XBR_PROBE=/opt/xcom-rollout/xcom_probe.pyz HELM_BIN=/usr/local/bin/helm \
    XBR_WORK_DIR=/cache HOME=/tmp HELM_CACHE_HOME=/cache/helm HELM_CONFIG_HOME=/cache/helm-config \
    HELM_DATA_HOME=/cache/helm-data \
    MALLOC_ARENA_MAX=2
RUN python -m xcom_probe.build ${XBR_PROBE} \
 && python -m compileall -q /opt/xcom-rollout \
 && printf '#!/bin/sh\nexec python -m xcom_rollout.cli "$@"\n' > /usr/local/bin/xbr \
 && chmod 0755 /usr/local/bin/xbr
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["python", "-m", "xcom_rollout"]
